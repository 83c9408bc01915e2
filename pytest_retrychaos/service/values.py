"""Ids and plausible values for what the default store creates, all drawn from the seed.

A value depends on the seed, the collection's name and the resource's number, and on nothing else: no order of
calls, no process, no hash seed. Faker is loaded when a kind that has invented values is first created.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faker import Faker


@dataclass(frozen=True, slots=True)
class Kind:
    """What a resource of this name usually looks like: id prefix, first status, and values made by Faker."""

    name: str
    prefix: str
    status: str | None = None
    invented: tuple[tuple[str, str], ...] = ()
    """Pairs of field and Faker provider."""


_PERSON = (("name", "name"), ("email", "safe_email"))

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("payment", "pay", "succeeded"),
        Kind("payment_intent", "pi", "succeeded"),
        Kind("charge", "ch", "succeeded"),
        Kind("refund", "re", "succeeded"),
        Kind("transfer", "tr", "succeeded"),
        Kind("payout", "po", "paid"),
        Kind("capture", "cap", "succeeded"),
        Kind("invoice", "in", "open"),
        Kind("subscription", "sub", "active"),
        Kind("order", "ord", "confirmed"),
        Kind("booking", "bok", "confirmed"),
        Kind("reservation", "rsv", "confirmed"),
        Kind("shipment", "shp", "pending", (("tracking_number", "ean13"),)),
        Kind("job", "job", "queued"),
        Kind("task", "tsk", "queued"),
        Kind("message", "msg", "sent"),
        Kind("email", "eml", "sent"),
        Kind("notification", "ntf", "sent"),
        Kind("customer", "cus", None, _PERSON),
        Kind("user", "usr", "active", _PERSON),
        Kind("account", "acct", "active", _PERSON),
        Kind("contact", "con", None, (*_PERSON, ("phone", "phone_number"))),
        Kind("employee", "emp", "active", (*_PERSON, ("job", "job"))),
        Kind("company", "com", None, (("name", "company"), ("address", "address"))),
        Kind("address", "adr", None, (("street", "street_address"), ("city", "city"), ("country", "country"))),
        Kind("product", "prod", "active", (("name", "catch_phrase"),)),
    )
}
"""Kinds by their name in the singular; a collection of another name gets an id and ``created``, no more."""


@lru_cache(maxsize=512)
def kind_of(collection: str) -> Kind:
    """Find the kind of a collection by the last segment of its path, singular or plural."""
    word = collection.rpartition("/")[2].lower().replace("-", "_")
    for name in (word, word.removesuffix("s"), word.removesuffix("es"), word.removesuffix("ies") + "y"):
        if name in KINDS:
            return KINDS[name]
    name = word.removesuffix("s") or "item"
    letters = "".join(letter for letter in name if letter.isascii() and letter.isalpha())
    return Kind(name, letters[:3] or "id")


class Values:
    """Ids and invented values of one seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._faker: Faker | None = None

    def digest(self, *, of: str, number: int, characters: int) -> str:
        """Give hexadecimal characters that depend on the seed, a name and a number."""
        text = f"{self._seed}/{of}/{number}"
        return blake2b(text.encode(), digest_size=(characters + 1) // 2).hexdigest()[:characters]

    def identifier(self, kind: Kind, number: int) -> str:
        """Make the id of a resource, such as ``pay_4f1c…``."""
        return f"{kind.prefix}_{self.digest(of=kind.name, number=number, characters=24)}"

    def invented(self, kind: Kind, number: int) -> dict[str, str]:
        """Make a kind's invented values, by Faker."""
        if not kind.invented:
            return {}
        if self._faker is None:
            from faker import Faker

            self._faker = Faker("en_US", use_weighting=False)
        self._faker.seed_instance(f"{self._seed}/{kind.name}/{number}")
        return {field: str(self._faker.format(provider)) for field, provider in kind.invented}
