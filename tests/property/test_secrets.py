"""Secrets planted in every field of a trace, and sent in every way: none of the outputs has them."""

from __future__ import annotations

import base64
import dataclasses
import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_retrychaos import Chaos, LawsBroken, redact
from pytest_retrychaos.laws import judge
from pytest_retrychaos.model import Effect, Headers
from pytest_retrychaos.redact import Redaction
from pytest_retrychaos.report.jsonform import encode_test, undrawn
from pytest_retrychaos.report.recording import Test, record
from pytest_retrychaos.serving import Lines
from pytest_retrychaos.text import failure_text, summary, timeline, verdict_text
from pytest_retrychaos.trace import Body, Option, Raised, Scope, ScriptRecord, ScriptStep, Told, Trace

SHAPED = {
    "stripe": "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
    "webhook": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "github": "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "gitlab": "glpat-20charactersinlength",
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "slack": "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcHrzqqgy",
    "google": "AIzaSyDaGmWKa4JsXZ-HjGw7ISLn_3namBGewQe",
    "openai": "sk-proj-abcdefghijklmnop1234567890",
    "sendgrid": "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",
    "vault": "hvs.CAESIJRM-T1q4lEXAMPLE",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "card": "4242424242424242",
    "spaced card": "5555 5555 5555 4444",
    "dashed card": "3782-822463-10005",
}
NAMED = {
    "bearer": ("Bearer {}", "mF_9.B5f-4.1JqM"),
    "basic": ("Basic {}", base64.b64encode(b"alice:open-sesame").decode()),
    "api key": ("X-Api-Key: {}", "b7ff1e04-82"),
    "token": ('{{"access_token": "{}"}}', "tGzv3JOkF0XG5Qx2TlKWIA"),
    "client secret": ("client_secret={}", "gX1fBat3bV"),
    "password": ("'password': '{}'", "Tr0ub4dor&3"),
    "cookie": ("Cookie: sid={}", "31d4d96e407aad42"),
    "set cookie": ("Set-Cookie: sid={}", "a3fWa5c81b9d"),
    "in an address": ("https://shop:{}@db.test/x", "hunter2:hunter2"),
    "in a query": ("https://shop.test/x?a=1&sig={}&b=2", "fR9pQ0Zx"),
    "in a list": ("passwords=['x', '{}']", "Tr0ub4dor&3"),
    "beside its name": ('{{"name": "X-Api-Key", "value": "{}"}}', "b7ff1e04-82"),
    "in XML": ("<auth:password>{}</auth:password>", "correct-horse7"),
    "in a hidden field": ('<input type="hidden" name="csrf_token" value="{}">', "Ky9dXq2v"),
    "user's own name": ("partner_code={}", "PRT7731"),
    "user's own pattern": ("for {}", "acct_1032D82eZvKYlo2C"),
}
KINDS = {name: ("{}", value) for name, value in SHAPED.items()} | NAMED
"""How each secret stands in a text, and what it is."""

SURROUNDINGS = ["{}", "a {} b", '"{}"', "({})", "x\n{}\ny", "»{}«", "{}, {}"]


@pytest.fixture(autouse=True)
def _own_names() -> Any:
    before = redact.use(Redaction(("partner-code", r"acct_\w+")))
    yield
    redact.use(before)


def planted(text: str) -> Trace:
    """Make a trace that has a text in every field that can hold one."""
    content = Body(len(text.encode()), "00", text.encode())
    with Chaos("503, ok") as chaos:
        for _ in range(2):
            requests.post(chaos.url + "/payments", timeout=5)
    trace = chaos.trace
    headers = Headers([("X-Note", text.replace("\n", " ")), ("Retry-After", text), ("Location", text)])
    attempts = [
        replace(
            one, host=text, target=f"/{text}", headers=headers, body=content, key=text, volatile=(text,), fault=text,
            response_headers=headers, response_body=content, error=f"ValueError: {text}",
        )
        for one in trace.attempts
    ]  # fmt: skip
    chain = (Raised("builtins.ValueError", ("builtins.Exception",), text),)
    told = Told(None, text, chain, held=chain, said=(text,))
    return replace(
        trace,
        test=text,
        script=text,
        attempts=tuple(attempts),
        operations=tuple(replace(one, name=text) for one in trace.operations),
        scopes=(Scope(text, 0, 1, told),),
        scripts=(ScriptRecord(text, "service", strict=True, closed=True, steps=(ScriptStep(text, 1, 0, True),)),),
        effects=(Effect(1, 2, "POST", text, text, text, text.encode(), 0, text),),
        ended=told,
        notes=(text,),
        options=(Option("hosts", text),),
    )


def strings(value: object) -> list[str]:
    """List every text in a value, bytes and headers included."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, bytes):
        return [value.decode("utf-8", "replace")]
    if isinstance(value, Headers):
        return [text for pair in value.pairs for text in pair]
    if isinstance(value, tuple):
        return [text for item in value for text in strings(item)]
    if dataclasses.is_dataclass(value):
        return [text for field in dataclasses.fields(value) for text in strings(getattr(value, field.name))]
    return []


def outputs(trace: Trace) -> list[str]:
    """Make everything that is printed or written of a trace."""
    verdict = judge(trace)
    texts = [trace.to_json(), *strings(Trace.from_json(trace.to_json())), timeline(trace), verdict_text(verdict)]
    texts.append(summary(trace, verdict))
    return texts if verdict.ok else [*texts, failure_text(trace, verdict)]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.sampled_from(SURROUNDINGS), st.booleans())
def test_a_secret_in_any_field_is_in_no_output(kind: str, surroundings: str, encoded: bool) -> None:
    """Plain, and where it stands percent-encoded."""
    form, value = KINDS[kind]
    text = form.format(value)
    text = surroundings.replace("{}", quote(text) if encoded else text)

    for output in outputs(planted(text)):
        assert value not in output
        assert quote(value) not in output


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.sampled_from(SURROUNDINGS), st.booleans())
def test_a_secret_in_any_field_is_in_no_report(kind: str, surroundings: str, encoded: bool) -> None:
    """Of which a picture shows little, but that little may be what was a secret elsewhere."""
    form, value = KINDS[kind]
    text = form.format(value)
    text = surroundings.replace("{}", quote(text) if encoded else text)

    trace = planted(text)
    at_our_host = tuple([replace(one, host="service.test") for one in trace.attempts])
    trace = replace(trace, attempts=at_our_host)
    made = record(Test("t", "t.py", 1), trace, (), declared=lambda _: None, judges_by_assert=True, draws=True)

    assert value not in encode_test(undrawn(made))
    assert quote(value) not in encode_test(undrawn(made))


def in_headers(url: str, value: str) -> None:
    requests.post(f"{url}/x", headers={"X-Api-Key": value, "Cookie": f"sid={value}"}, timeout=5)


def in_query(url: str, value: str) -> None:
    requests.post(f"{url}/x", params={"api_key": value}, timeout=5)


def in_json(url: str, value: str) -> None:
    requests.post(f"{url}/x", json={"list": [{"client_secret": value}]}, timeout=5)


def in_form(url: str, value: str) -> None:
    requests.post(f"{url}/x", data={"password": value}, timeout=5)


def in_chunks(url: str, value: str) -> None:
    half = len(value) // 2
    requests.post(
        f"{url}/x", data=iter([b'{"token": "', value[:half].encode(), value[half:].encode(), b'"}']), timeout=5
    )


def in_multipart(url: str, value: str) -> None:
    requests.post(f"{url}/x", files={"password": (None, value)}, timeout=5)


def in_basic_credentials(url: str, value: str) -> None:
    requests.post(f"{url}/x", auth=("alice", value), timeout=5)


def in_an_address(url: str, value: str) -> None:
    requests.post(f"{url.replace('://', f'://alice:{quote(value, safe=str())}@')}/x", timeout=5)


def in_a_redirect(url: str, value: str) -> None:
    requests.get(f"{url}/redirect", params={"token": value}, timeout=5)


@pytest.mark.parametrize("value", ["Tr0ub4dor&3 [x]", *list(SHAPED.values())[::6]])
@pytest.mark.parametrize(
    "send",
    [
        in_headers,
        in_query,
        in_json,
        in_form,
        in_chunks,
        in_multipart,
        in_basic_credentials,
        in_an_address,
        in_a_redirect,
    ],
    ids=lambda send: send.__name__,
)
def test_a_secret_that_was_sent_is_in_no_output(send: Callable[[str, str], None], value: str) -> None:
    """Neither where it was sent, nor where a service repeats it, nor in the error that the caller got."""
    lines = tempfile.TemporaryFile()  # noqa: SIM115 - closed below

    with Chaos("503, 503, ok", strict=False) as chaos:
        chaos.service.route("GET", "/redirect", lambda _: (302, "", {"Location": f"/x?token={quote(value)}"}))
        for _ in range(3):
            send(chaos.url, value)
        with pytest.raises(ValueError, match="bad"):
            chaos.call(lambda: (_ for _ in ()).throw(ValueError(f"bad token={value!r} for {value}")))
        with pytest.raises(LawsBroken) as told:
            chaos.verify()
        with pytest.raises(LawsBroken) as asked:
            chaos.assert_not_retried()
        trace = chaos.trace
        writer = Lines(lines.fileno())
        for attempt in chaos.attempts:
            writer.attempt(attempt, attempt.target or "")
        writer.end(chaos, None)
    with lines:
        lines.seek(0)
        written = lines.read().decode()

    texts = [*outputs(trace), str(told.value), str(asked.value), chaos.judge.failure_section(), written]
    texts += strings(Trace.from_json(json.dumps(json.loads(written.splitlines()[-1])["trace"])))
    for spelling in (value, quote(value), quote(value, safe=""), base64.b64encode(f"alice:{value}".encode()).decode()):
        assert not [text for text in texts if spelling in text]


def test_an_assertion_that_fails_prints_no_secret() -> None:
    """Pytest shows the values that it compared: attempts, effects, what handlers get."""
    requests_seen: list[object] = []
    with Chaos() as chaos:
        chaos.service.route("POST", "/x", lambda request: requests_seen.append(request) or {"token": "abc-1"})
        headers = {"Authorization": "Bearer abc-23", "Cookie": "a=abc-4", "X-Api-Key": "abc-5"}
        requests.post(f"{chaos.url}/x?sig=abc-6", json={"password": "abc-7"}, headers=headers, timeout=5)
        with pytest.raises(ValueError, match="abc"):
            chaos.call(lambda: (_ for _ in ()).throw(ValueError("token=abc-8")))

    shown = repr((chaos.attempts, chaos.ledger, chaos.trace, requests_seen))

    assert "abc-" not in shown
    assert "Bearer [hidden:" in shown
    assert chaos.attempts[0].headers["X-Api-Key"] == "abc-5"


@pytest.mark.parametrize(
    "sent",
    [
        {"files": {"password": (None, "open-sesame")}},
        {"data": "<login><password>open-sesame</password></login>"},
        {"json": {"client_secret": ["open-sesame"]}},
        {"params": {"X-Amz-Signature": "open-sesame"}},
    ],
    ids=["multipart", "xml", "json", "volatile"],
)
def test_what_stands_in_a_body_is_hidden_where_python_writes_it(sent: dict[str, Any]) -> None:
    """As in ``assert len(chaos.ledger) == 2``: its lines and quotes are escaped there, and say no more what it is."""
    with Chaos() as chaos:
        requests.post(f"{chaos.url}/x", timeout=5, **sent)

    for shown in (chaos.ledger, chaos.attempts, chaos.attempts[0].body, chaos.trace):
        assert "open-sesame" not in repr(shown)
    body = chaos.attempts[0].body
    assert not body.size or body.sha256 not in repr((body, chaos.attempts, chaos.trace))  # it can be guessed back


def test_what_a_test_named_is_hidden_where_python_writes_it() -> None:
    """Its operations, and its scripts with what they answer."""
    with Chaos('401 header="Set-Cookie: sid=open-sesame"', hosts=["api.test"]) as chaos:
        with chaos.operation("token=open-sesame"):
            requests.get("http://api.test/x", timeout=5)
        trace = chaos.trace

    for shown in (trace, trace.operations, trace.scopes, trace.scripts, chaos.operations[0].record):
        assert "open-sesame" not in repr(shown)
    assert "[hidden:" in repr(trace.scripts)


def test_a_handler_that_fails_tells_no_secret() -> None:
    """What went wrong in it is told with the request's address and its own words."""

    def fails(request: Any) -> None:
        raise RuntimeError(f"refused {request.headers['Authorization']!r} for sk_live_4eC39HqLyjWDarjtT1zdp7dc")

    with Chaos() as chaos:
        chaos.service.route("POST", "/x", fails)
        requests.post(f"{chaos.url}/x?token=abc-1", headers={"Authorization": "Bearer abc-23"}, timeout=5)
        with pytest.raises(RuntimeError, match="the handler for POST /x") as told:
            chaos.verify()
        section = chaos.judge.failure_section()

    for secret in ("abc-1", "abc-23", "sk_live"):
        assert secret not in str(told.value)
        assert secret not in section


def test_sameness_is_seen_in_what_is_written() -> None:
    """A law judges the trace that was read back as it judged the run."""
    with Chaos("503 x2, ok") as chaos:
        for token in ("abc-1", "abc-23", "abc-23"):
            requests.post(f"{chaos.url}/x", json={"token": token}, timeout=5)
        trace = chaos.trace

    written = Trace.from_json(trace.to_json())

    first, second, third = (attempt.body.start for attempt in written.attempts)
    assert first != second
    assert second == third
    assert judge(written) == judge(trace)
