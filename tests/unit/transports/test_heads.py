"""Fields of requests' heads, read one head after another."""

from pytest_retrychaos.transports.heads import Heads

FIRST = [(b"Host", b"service.test"), (b"Idempotency-Key", b"key-1")]


def test_a_head_is_read_as_it_came() -> None:
    """Names and values are those that came, in their order."""
    assert Heads().read(FIRST).pairs == (("Host", "service.test"), ("Idempotency-Key", "key-1"))


def test_a_field_that_changed_is_read_anew() -> None:
    """A head like the one before but for one value has that value."""
    heads = Heads()
    heads.read(FIRST)
    assert heads.read([FIRST[0], (b"Idempotency-Key", b"key-2")])["idempotency-key"] == "key-2"


def test_a_head_with_fewer_fields_has_no_more_than_its_own() -> None:
    """Nothing is left of the head before."""
    heads = Heads()
    heads.read(FIRST)
    assert heads.read(FIRST[:1]).pairs == (("Host", "service.test"),)


def test_a_head_with_more_fields_has_them_all() -> None:
    """Fields after those of the head before are read."""
    heads = Heads()
    heads.read(FIRST[:1])
    assert heads.read(FIRST).pairs == (("Host", "service.test"), ("Idempotency-Key", "key-1"))


def test_trailers_of_a_request_are_no_part_of_the_next_ones_head() -> None:
    """What is added to the list of fields after the head was read changes nothing."""
    heads = Heads()
    fields = FIRST[:1]
    heads.read(fields)
    fields.append((b"X-Checksum", b"1"))
    assert heads.read(FIRST).pairs == (("Host", "service.test"), ("Idempotency-Key", "key-1"))


def test_what_two_heads_have_in_common_is_kept_once() -> None:
    """A record that keeps both keeps one text of it."""
    heads = Heads()
    first, second = heads.read(FIRST), heads.read([FIRST[0], (b"Idempotency-Key", b"key-2")])
    assert first.pairs[0] is second.pairs[0]
