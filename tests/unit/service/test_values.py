"""Ids and invented values."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_retrychaos.service.values import KINDS, Values, kind_of

SCRIPT = """
import sys
from pytest_retrychaos.service import Service
from pytest_retrychaos.model import Headers, Request
service = Service(now=lambda: 0, wall=lambda: 0, seed=7)
for path in sys.argv[1:]:
    request = Request("POST", "a.test", path, Headers({"Content-Type": "application/json"}), b'{"a": 1}')
    print(service.answering.handle(request, attempt=1).response.body.decode())
print("faker" in sys.modules)
"""


def run(hash_seed: str, *paths: str) -> list[str]:
    """Create resources in a new process."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *paths],
        env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/payments", "payment"),
        ("/payments/p1/refunds", "refund"),
        ("/accounts/7/charge", "charge"),
        ("/v1/payment_intents", "payment_intent"),
        ("/v1/payment-intents", "payment_intent"),
        ("/companies", "company"),
        ("/addresses", "address"),
        ("/widgets", "widget"),
        ("", "item"),
    ],
)
def test_kind_is_found_by_the_last_segment(path, name):
    """A collection's name, singular or plural, says what it holds."""
    assert kind_of(path).name == name


def test_id_depends_on_seed_kind_and_number():
    """The same three give the same id, another of them another one."""
    payment, order = KINDS["payment"], KINDS["order"]
    first = Values(0).identifier(payment, 1)

    assert first == "pay_" + Values(0).digest(of="payment", number=1, characters=24)
    assert Values(0).identifier(payment, 1) == first
    assert len({first, Values(1).identifier(payment, 1), Values(0).identifier(payment, 2)}) == 3
    assert Values(0).identifier(order, 1) != first


def test_every_kind_can_be_invented():
    """Each provider of the table exists in Faker and gives text."""
    values = Values(0)

    for kind in KINDS.values():
        made = values.invented(kind, 1)
        assert list(made) == [field for field, _ in kind.invented]
        assert all(made.values())


def test_invented_values_do_not_depend_on_order():
    """A value is drawn from seed, kind and number alone."""
    one, other = Values(3), Values(3)
    other.invented(KINDS["company"], 9)

    assert one.invented(KINDS["user"], 4) == other.invented(KINDS["user"], 4)


def test_same_seed_gives_the_same_bytes_in_any_process():
    """Two processes with different hash seeds make the same resources."""
    paths = ("/payments", "/customers", "/employees", "/widgets")

    assert run("1", *paths) == run("2", *paths)


def test_faker_is_not_loaded_without_need():
    """A payment needs no invented value, so Faker stays out."""
    assert run("0", "/payments")[-1] == "False"
    assert run("0", "/customers")[-1] == "True"
