"""What is a secret, by its name, its shape or what the user named; and what is none."""

from __future__ import annotations

import gzip
import json
import re
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_retrychaos.redact import Redaction
from pytest_retrychaos.redact.names import is_secret_name

HIDES = Redaction(("X-Partner", r"acct_\w+", r"pin code (\d+)"), key=b"one run")

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer mF_9.B5f-4.1JqM", "mF_9.B5f-4.1JqM"),
        ("sent Bearer mF_9.B5f-4.1JqM to it", "mF_9.B5f-4.1JqM"),
        ("Basic YWxpY2U6b3BlbiBzZXNhbWU=", "YWxpY2U6b3BlbiBzZXNhbWU="),
        ('[("Authorization", "Token abc")]', "abc"),
        ("Cookie: sid=abc; theme=dark", "abc"),
        ("Set-Cookie: sid=abc; Path=/", "abc"),
        ('{"password": "open, sesame"}', "open, sesame"),
        ("{'client_secret': b'open sesame'}", "open sesame"),
        ('{\\"token\\": \\"abc\\"}', "abc"),
        ('{"password": "never closed', "never closed"),
        ("POST /x?api_key=abc&b=1", "abc"),
        ("GET /x?%61pi_key=abc", "abc"),
        ("GET /cb#access_token=abc", "abc"),
        ("at /x?next=https%3A%2F%2Fy%2F%3Ftoken%3Dabc", "abc"),
        ("at /x?next=https%253A%252F%252Fy%252F%253Ftoken%253Dabc", "abc"),
        ("postgres://shop:p@ss:word@db.test/x", "p@ss:word"),
        ("https://ghp_0123456789abcdefABCDEF@github.com/x", "ghp_0123456789abcdefABCDEF"),
        ("AccountName=shop;AccountKey=abc/def==;x", "abc/def=="),
        ("card 4242 4242 4242 4242.", "4242 4242 4242 4242"),
        ("card 5555-5555-5555-4444.", "5555-5555-5555-4444"),
        ("card=4242+4242+4242+4242", "4242+4242+4242+4242"),
        ("?card=4242%204242%204242%204242", "4242%204242%204242%204242"),
        ("amex 378282246310005,", "378282246310005"),
        (f"got {JWT}!", JWT),
        ("sk_live_4eC39HqLyjWDarjtT1zdp7dc", "sk_live_4eC39HqLyjWDarjtT1zdp7dc"),
        ("xsk_live_4eC39HqLyjWDarjtT1zdp7dc", "sk_live_4eC39HqLyjWDarjtT1zdp7dc"),
        (f"Bearer 4242 4242 4242 4242{JWT}", JWT),
        ("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
        ("POST /bot110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/send", "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"),
        ("POST /bot110201543%3AAAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/send", "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"),
        ("cut at sk_live_4e…", "sk_live_4e"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "MIIE"),
        ("X-Partner: abc", "abc"),
        ("x_partner=abc", "abc"),
        ("for acct_123", "acct_123"),
        ("the pin code 1234 is", "1234"),
        ("{'password1': 'open sesame'}", "open sesame"),
        ("new_password2=abc", "abc"),
        ("user[password_confirmation]=abc", "abc"),
        ("auth=('open', 'sesame'), timeout=3", "sesame"),
        ("'passwords': ['open', b'sesame'], 'x': 1", "sesame"),
        ("Login(credentials={'user': 'open', 'pin code': 1234})", "1234"),
        ("cookies={'theme': 'sesame'}", "sesame"),
        ("no such entry: {'name': 'X-Api-Key', 'value': 'abc'}", "abc"),
        ('{\\"key\\": \\"DB_PASSWORD\\", \\"value\\": \\"abc\\"}', "abc"),
        ("bad XML: <s:password>abc</s:password>", "abc"),
        ('bad form: <input type="hidden" name="csrf_token" value="abc">', "abc"),
        ('<param name="api-key" type="string">abc</param>', "abc"),
        ('<input id="t" name="csrf_token" type="hidden" value="abc">', "abc"),
        ('<meta name="csrf-token" content="abc">', "abc"),
        ("Cookie(version=0, name='sid', value='abc', port=None)", "abc"),
        ("{'name': b'X-Api-Key', 'value': b'abc'}", "abc"),
        ("auth=HTTPBasicAuth('open', 'sesame')", "sesame"),
        ("passwords=frozenset({'open', 'sesame'})", "sesame"),
        ("password=sesame(open)x", "sesame(open)x"),
        ("GET /k?AWSAccessKeyId=A&Signature=dGhpcw%3D%3D&Expires=1", "dGhpcw"),
    ],
)  # fmt: skip
def test_a_secret_in_a_text_is_hidden(text: str, secret: str) -> None:
    """Nothing of it is left, what stands around it is, and hiding it again changes nothing."""
    hidden = HIDES.text(text)

    assert secret not in hidden
    assert "[hidden:" in hidden
    assert HIDES.text(hidden) == hidden


@pytest.mark.parametrize(
    "text",
    [
        "Basic authentication is required",
        "Bearer authentication",
        "the token has expired",
        "next_token=abc&pageToken=def",
        "ClientToken: abc",
        "max_tokens: 5, token_type=bearer",
        "password: null",
        "1767225600000 1767225600000000000",
        "4242424242424241",
        "t+62.00s  #1  POST /payments  key K1  503, Retry-After: 2",
        "Authorization: Bearer C1",
        "https://service.test:8080/x@y",
        '{"grant_type": "password", "client_id": "shop"}',
        "{'type': 'jwt', 'ttl': 3}",
        "tokens=[1, 2], max_tokens={'a': 5}",
        "{'name': 'amount', 'value': 5}, <param name='x'>5</param>",
        "password=[] a=['b']",
        "test_login.py::TestToken::TestCookies::test_refresh[a]",
        '401 body="invalid token", ok',
        '400 body="no token :(", ok, 503 body="x"',
        "ScriptRecord(where='POST /oauth/token', steps=(1, 2))",
        'chaos.script("503, ok", route="POST /auth", host="shop.test")',
        '@pytest.mark.chaos("503 x2, ok", seed=3285468150)',
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    """Prose, cursors and idempotency keys, counts, times, numbers that are no cards, what is numbered."""
    assert HIDES.text(text) == text


def test_a_sentence_in_brackets_is_one_value() -> None:
    """It is not looked for elsewhere, as it may be a path; and it ends with its text."""
    found = HIDES.find('400 body="no token: (POST /payments, don\'t wait", 400 body="no token :( POST /payments")')

    assert found.text.count("[hidden:") == 3
    assert found.text.endswith('", 400 body="no token :( ' + HIDES.mark("POST /payments") + '")')
    assert found.named == ()


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Authorization", "Bearer abc", "Bearer [hidden:{abc}]"),
        ("Proxy-Authorization", "abc", "[hidden:{abc}]"),
        ("Authorization", "Bearer C1", "Bearer C1"),
        ("Cookie", "a=abc; b=def", "a=[hidden:{abc}]; b=[hidden:{def}]"),
        ("Set-Cookie", "sid=abc; Path=/; HttpOnly", "sid=[hidden:{abc}]; Path=/; HttpOnly"),
        ("X-API-Key", "abc", "[hidden:{abc}]"),
        ("x-partner", "abc", "[hidden:{abc}]"),
        ("Location", "/cb?code=1&access_token=abc", "/cb?code=1&access_token=[hidden:{abc}]"),
        ("Idempotency-Key", "abc", "abc"),
        ("Retry-After", "2", "2"),
    ],
)
def test_a_header_keeps_what_is_no_secret_in_it(name: str, value: str, shown: str) -> None:
    """The scheme, the names of cookies and their attributes."""
    marks = {one: HIDES.mark(one).removeprefix("[hidden:").removesuffix("]") for one in ("abc", "def")}

    assert HIDES.header(name, value).text == shown.format(**marks)


@pytest.mark.parametrize(
    ("body", "headers", "shown"),
    [
        (b'{"card": 4242424242424242, "n": 1}', {}, b'{"card": "[]", "n": 1}'),
        (b'{"pa\\u0073sword": "a\\u0062c"}', {}, b'{"password": "[]"}'),
        (b'{"credentials": {"u": "abc", "a": ["abc", null]}}', {}, b'{"credentials": {"u": "[]", "a": ["[]", null]}}'),
        (b'[{"key": "DB_PASSWORD", "value": "abc"}, ["X-Api-Key", "abc"]]', {},
         b'[{"key": "DB_PASSWORD", "value": "[]"}, ["X-Api-Key", "[]"]]'),
        (b'{"value": ["abc"], "Name": "X-Api-Key"}', {}, b'{"value": ["[]"], "Name": "X-Api-Key"}'),
        (b'{"a": "x sk_live_4eC39HqLyjWDarjtT1zdp7dc y"}', {}, b'{"a": "x [] y"}'),
        (b"grant_type=password&password=a%26abc%3Bd&x=1", {}, b"grant_type=password&password=[]&x=1"),
        (b"card%5Bnumber%5D=4242+4242+4242+4242&card%5Bcvc%5D=123", {}, b"card%5Bnumber%5D=[]&card%5Bcvc%5D=[]"),
        (b"<a><s:password x='1'>abc</s:password></a>", {}, b"<a><s:password x='1'>[]</s:password></a>"),
        (
            b'--B\r\nContent-Disposition: form-data; name="token"\r\n\r\nabc\r\n--B--',
            {},
            b'--B\r\nContent-Disposition: form-data; name="token"\r\n\r\n[]\r\n--B--',
        ),
        (gzip.compress(b'{"token": "abc"}', mtime=0), {"content-encoding": "gzip"}, b'{"token": "[]"}'),
        (zlib.compress(b'{"token": "abc"}'), {"content-encoding": "deflate"}, b'{"token": "[]"}'),
        (b"packed: abc", {"content-encoding": "br"}, b"[]"),
        (
            b"7;chunk-signature=ab\r\n{\"token\r\n6;chunk-signature=cd\r\n\":\"abc\r\n2;chunk-signature=ef\r\n\"}\r\n0\r\n",
            {"content-encoding": "aws-chunked"},
            b'{"token": "[]"}',
        ),
        (b"\xff\xfe token=abc", {}, b"\xff\xfe token=[]"),
    ],
)  # fmt: skip
def test_a_secret_in_a_body_is_hidden(body: bytes, headers: dict[str, str], shown: bytes) -> None:
    """In JSON, forms, XML and multipart; packed, in chunks, or no text at all."""
    hidden, _ = HIDES.body(body, headers)

    assert re.sub(rb"\[hidden:[0-9a-f]{8}\]", b"[]", hidden) == shown
    assert HIDES.body(hidden, {}) == (hidden, ())


def test_a_body_without_a_secret_is_left_as_it_is() -> None:
    """Spaces, order and packing included."""
    packed = gzip.compress(b'{"amount": 1}', mtime=0)

    assert HIDES.body(b'{"b" :  1,"a":[ ]}', {}) == (b'{"b" :  1,"a":[ ]}', ())
    assert HIDES.body(packed, {"content-encoding": "gzip"}) == (packed, ())
    assert HIDES.body(b"", {"content-encoding": "br"}) == (b"", ())


def test_a_cut_body_does_not_end_in_the_beginning_of_a_secret() -> None:
    """Neither a key's nor a card's."""
    for end in (b"sk_live_4e", b"4242 4242 42"):
        hidden, _ = HIDES.body(b"a list: " + end, {}, is_whole=False)

        assert end not in hidden


def test_marks_show_sameness_within_a_run_and_nothing_beyond_it() -> None:
    """They are keyed: the same secret has another mark in the next run."""
    one, other = Redaction(), Redaction()

    assert one.text("token=abc") == one.text("token=abc")
    assert one.text("token=abc") != one.text("token=abd")
    assert one.text("token=abc") != other.text("token=abc")
    assert one.header("Authorization", "Bearer abc").text.split()[1] == one.text("token=abc").removeprefix("token=")
    assert one.text("?token=a%62c").removeprefix("?") == one.text("token=abc")


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [("xApiKey", True), ("X_API_KEY", True), ("card[cvc]", True), ("PHPSESSID", True), ("auth", True),
     ("password2", True), ("api_keys", True), ("Passwords", True), ("refresh_tokens", True), ("max_tokens", False),
     ("cvv2", True), ("Signature", True), ("oauth2", False), ("next_token2", False),
     ("author", False), ("key", False), ("Idempotency-Key", False), ("x-goog-gcs-idempotency-token", False),
     ("compass", False), ("public_key", False)],
)  # fmt: skip
def test_names_are_compared_without_case_and_signs(name: str, is_secret: bool) -> None:
    """A name that only contains such a word is none."""
    assert is_secret_name(name) is is_secret


@pytest.mark.parametrize(
    ("named", "message"),
    [("(", "'(' is no name, and no regular expression"), ("x*", "'x*' matches an empty text")],
)
def test_a_bad_pattern_is_refused(named: str, message: str) -> None:
    """With what is wrong with it."""
    with pytest.raises(ValueError, match=re.escape(message)):
        Redaction([named])


UNITS = [
    "a", "4", "4 ", "eyJ", "sk-", "://a:", "token=", 'token="', '"token",', "%2", "%25", "?a=+", "<password>",
    "bearer ", "a=b&", "-----BEGIN PRIVATE KEY", "token\\", 'name="token"\r\n', "name=x\r\na\r\n", "[", "sk_live_",
    '{"a":', "\\'", "token=(", "token=('", "token=[a,", "name='token'>", "<a name=", "token={'a':[",
    "authorization: ", "cookie=;", "name='pin' ", "token=a(", "'sid', value=", "::token::",
]  # fmt: skip
"""What a text is made of that would bring a pattern which goes back to its knees."""


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.timeout(60)
def test_hiding_takes_time_in_proportion(unit: str) -> None:
    """A lot of anything comes to an end: with a pattern that goes back it would take hours."""
    text = unit * (40_000 // len(unit))

    HIDES.text(text)
    HIDES.body(text.encode(), {})


@pytest.mark.timeout(60)
def test_a_megabyte_is_no_burden() -> None:
    """Its secrets are found."""
    line = '{"id": 1, "name": "an order like any other", "amount": 1000} and so on'
    text = "\n".join([*[line] * 14_500, '{"token": "abc"}', line])

    assert len(text) > 1_000_000
    assert "abc" not in HIDES.text(text)
    assert b"abc" not in HIDES.body(text.encode(), {})[0]


def test_deep_json_does_not_matter() -> None:
    """It is read as a text where it is nested too deeply."""
    body = (b'{"a":' * 20_000) + b'{"token": "abc"}'

    assert b"abc" not in HIDES.body(body, {})[0]
    assert json.loads(HIDES.body(b'["\\ud800", {"token": "abc"}]', {})[0])[0] == "\ud800"


PIECES = [
    "token", "=", ":", '"', "'", "\\", "abc", "sk_live_4eC39HqLyjWDarjtT1zdp7dc", "4242424242424242", "%20", "%3D", "?",
    "&", "4242 4242 4242 4242", "://", "@", "Bearer ", "Basic ", "dXNlcjpwYXNz", "Authorization: ", "Cookie: ", "; ",
    "{", "}", "[", "]", ",", "\r\n", "<password>", "</password>", JWT, "+", "…", 'name="', "K1", "[hidden:12345678]",
    "é", "\ud800", "\0", "acct_12", "X-Partner", "null", "1",
    "(", ")", "value", "name=", ">",
]  # fmt: skip
"""What texts with secrets are made of."""


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_hiding_twice_changes_nothing(text: str) -> None:
    """Of whatever pieces a text, a header or a body is made; and no key of a provider is left in it."""
    once = HIDES.text(text)
    body, _ = HIDES.body(text.encode("utf-8", "surrogatepass"), {})

    assert HIDES.text(once) == once
    assert HIDES.body(body, {}) == (body, ())
    assert "sk_live_4eC39HqLyjWDarjtT1zdp7dc" not in once + body.decode("utf-8", "replace")
    for name in ("Authorization", "Cookie", "Set-Cookie", "X-Api-Key", "Location"):
        value = HIDES.header(name, text).text
        assert HIDES.header(name, value).text == value


@pytest.mark.parametrize("pattern", [r"[0-9a-f]{8,}", r"\d{4,}", r"\d+", "hidden", r"\w+"])
def test_a_pattern_hides_no_part_of_a_mark(pattern):
    """A mark is made of letters and digits, too: of a mark within a mark nobody could see what is the same."""
    redaction = Redaction([pattern])

    hidden = redaction.text("Authorization: Bearer 0123456789abcdef, ref 20241231 hidden deadbeef")

    assert "[hidden:[" not in hidden
    assert hidden.count("[hidden:") <= 9
    assert redaction.text(hidden) == hidden
