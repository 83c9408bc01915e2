"""The default REST store."""

from __future__ import annotations

import json

import pytest

FORM = "application/x-www-form-urlencoded"


def value(answer):
    """Decode what a client would."""
    return json.loads(answer.response.body)


def test_post_creates_with_id_status_and_location(bench):
    """A POST answers 201 with what was sent, an id, a status and where to find it."""
    answer = bench("POST", "/payments", {"amount": 1000, "currency": "USD"})
    identifier = value(answer)["id"]

    assert answer.response.status == 201
    assert value(answer) == {
        "id": identifier,
        "status": "succeeded",
        "created": 1767225600,
        "amount": 1000,
        "currency": "USD",
    }
    assert answer.response.headers["Location"] == f"/payments/{identifier}"
    assert identifier.startswith("pay_")


def test_get_finds_what_was_created(bench):
    """What a POST answered is found at its location, at any host: hosts are names of one service."""
    made = bench("POST", "/payments", {"amount": 1})

    found = bench("GET", made.response.headers["Location"], host="backup.test")

    assert (found.response.status, found.response.body) == (200, made.response.body)


def test_client_values_win(bench):
    """What the client sent is never replaced by an invented value."""
    assert value(bench("POST", "/payments", {"status": "held", "created": "x"})) | {"id": ""} == {
        "id": "",
        "status": "held",
        "created": "x",
    }


@pytest.mark.parametrize(("own", "place"), [("a/b c", "/orders/a%2Fb%20c"), (7, "/orders/7")])
def test_client_may_choose_the_id(bench, own, place):
    """The client's own id is kept, and quoted in the path."""
    answer = bench("POST", "/orders", {"id": own})

    assert value(answer)["id"] == own
    assert answer.response.headers["Location"] == place
    assert bench("GET", place).response.status == 200


@pytest.mark.parametrize("sent", ["/users/ann@b.test", "/users/ann%40b.test", "/users/a%6en%40b.test"])
def test_an_id_is_found_however_its_characters_are_written(bench, sent):
    """Clients differ in which signs of a path they percent-encode; all of them mean one resource."""
    bench("POST", "/users", {"id": "ann@b.test", "name": "Ann"})
    bench("PATCH", sent, {"name": "Anne"})

    assert [one["name"] for one in value(bench("GET", "/users"))] == ["Anne"]
    assert value(bench("GET", sent))["id"] == "ann@b.test"


def test_an_encoded_slash_parts_nothing(bench):
    """``a%2Fb`` is one segment of a path, and ``a/b`` two."""
    bench("POST", "/orders", {"id": "a/b"})

    assert bench("GET", "/orders/a%2fb").response.status == 200
    assert bench("GET", "/orders/a/b").response.body == b"[]"


def test_an_id_that_no_path_can_hold_is_refused(bench):
    """Half of a surrogate pair is JSON, and nothing that could be sent in an address."""
    answer = bench("POST", "/orders", b'{"id": "\\ud800"}', media="application/json")

    assert (answer.response.status, value(answer)["error"]["code"], answer.effects) == (400, "invalid_id", 0)


def test_second_resource_of_an_id_is_a_conflict(bench):
    """The id that is taken answers 409 and has no effect; after a DELETE it is free."""
    bench("POST", "/orders", {"id": "o1"})

    second = bench("POST", "/orders", {"id": "o1"})
    bench("DELETE", "/orders/o1")
    third = bench("POST", "/orders", {"id": "o1"})

    assert (second.response.status, second.effects) == (409, 0)
    assert (third.response.status, third.effects) == (201, 1)


@pytest.mark.parametrize("own", [True, [], {}, "", 1.5])
def test_impossible_id_is_refused(bench, own):
    """An id is a string or a number."""
    assert bench("POST", "/orders", {"id": own}).response.status == 400


def test_null_id_is_none(bench):
    """An id of null is as if it were not there."""
    assert value(bench("POST", "/orders", {"id": None}))["id"].startswith("ord_")


def test_unwritten_path_is_an_empty_list(bench):
    """A path under which nothing was written is an empty list."""
    answer = bench("GET", "/payments?limit=5")

    assert (answer.response.status, value(answer)) == (200, [])


def test_collection_lists_in_order_of_creation(bench):
    """A collection lists what it holds, opaque content by name and size."""
    for amount in (3, 1, 2):
        bench("POST", "/payments", {"id": f"p{amount}"})
    bench("DELETE", "/payments/p1")
    bench("PUT", "/payments/raw", b"\x00\xff", media="image/png")

    listed = value(bench("GET", "/payments/"))

    assert [item["id"] for item in listed] == ["p3", "p2", "raw"]
    assert listed[2] == {"id": "raw", "content_type": "image/png", "size": 2}


def test_unknown_id_beside_known_ones_is_missing(bench):
    """Once something was written beside it, an unknown id is 404."""
    bench("POST", "/payments", {"id": "p1"})

    assert bench("GET", "/payments/p2").response.status == 404
    assert bench("GET", "/payments/p1/refunds").response.status == 200


def test_deleted_id_is_missing(bench):
    """What was deleted stays missing, also where it was the only one."""
    bench("POST", "/payments", {"id": "p1"})

    assert bench("DELETE", "/payments/p1").response.status == 204
    assert bench("GET", "/payments/p1").response.status == 404
    assert bench("DELETE", "/payments/p1").response.status == 404
    assert bench("PATCH", "/payments/p1", {"a": 1}).response.status == 404
    assert value(bench("GET", "/payments")) == []


def test_put_creates_then_replaces_and_keeps_the_body(bench):
    """PUT answers 201, then 200; the body comes back as sent."""
    assert bench("PUT", "/settings/ui", b'{"dark":  true}', media="application/json").response.status == 201
    assert bench("PUT", "/settings/ui", b'{"dark":  false}', media="application/json").response.status == 200

    found = bench("GET", "/settings/ui")

    assert found.response.body == b'{"dark":  false}'
    assert found.response.headers["Content-Type"] == "application/json"


def test_patch_merges(bench):
    """PATCH changes the fields it names and removes those set to null."""
    bench("PUT", "/users/1", {"name": "Ann", "mail": "a@test", "tags": {"x": 1, "y": 2}})

    answer = bench("PATCH", "/users/1", {"name": "Eve", "mail": None, "tags": {"x": None}})

    assert (answer.response.status, value(answer)) == (200, {"name": "Eve", "tags": {"y": 2}})


def test_post_to_a_resource_updates_it(bench):
    """A POST to what exists merges, as Stripe's API updates."""
    bench("PUT", "/users/1", {"name": "Ann"})

    answer = bench("POST", "/users/1", b"name=Eve", media=FORM)

    assert (answer.response.status, value(answer)) == (200, {"name": "Eve"})


@pytest.mark.parametrize("media", ["application/json-patch+json", "text/plain"])
def test_patch_of_another_kind_is_refused(bench, media):
    """Only merges are understood."""
    bench("PUT", "/users/1", {"name": "Ann"})

    assert bench("PATCH", "/users/1", b'[{"op": "remove"}]', media=media).response.status == 415


def test_patch_of_opaque_content_is_a_conflict(bench):
    """Bytes cannot be merged with fields."""
    bench("PUT", "/files/1", b"\x00", media="image/png")

    assert bench("PATCH", "/files/1", {"a": 1}).response.status == 409


def test_form_is_stored_as_fields(bench):
    """A form's fields become JSON, brackets nest."""
    made = value(bench("POST", "/charges", b"amount=1000&metadata[order]=6", media=FORM))

    assert (made["amount"], made["metadata"], made["status"]) == ("1000", {"order": "6"}, "succeeded")


@pytest.mark.parametrize(
    ("body", "media"),
    [(b"\xff\xfe\x00", "application/octet-stream"), (b"\xff\xfe\x00", None), (b"hello", "text/plain")],
)
def test_opaque_body_is_stored_as_sent(bench, body, media):
    """Other bodies, invalid UTF-8 included, are kept byte for byte."""
    made = bench("POST", "/files", body, media=media)

    found = bench("GET", made.response.headers["Location"])

    assert (made.response.status, made.effects) == (201, 1)
    assert found.response.body == body
    assert found.response.headers["Content-Type"] == (media or "application/octet-stream")


def test_form_of_invalid_utf8_is_accepted(bench):
    """A form may hold bytes that are no text."""
    assert bench("POST", "/files", b"name=%ff\xff", media=FORM).response.status == 201


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("body", [b"{", b"\xff", b"NaN", b"[" * 100_000])
def test_broken_json_is_refused(bench, method, body):
    """A body that is called JSON and is none answers 400, with no effect."""
    answer = bench(method, "/payments", body, media="application/json")

    assert (answer.response.status, answer.effects, answer.committed) == (400, 0, False)


def test_number_that_json_cannot_say_is_refused(bench):
    """A number too large for a float cannot be written again; PUT keeps it as sent."""
    body = b'{"a": 1e999}'

    assert bench("POST", "/payments", body, media="application/json").response.status == 400
    assert bench("PUT", "/payments/1", body, media="application/json").response.status == 201


def test_json_list_is_stored_as_sent(bench):
    """JSON that is no object is kept, and answered with its id."""
    made = bench("POST", "/batches", [1, 2])

    assert list(value(made)) == ["id"]
    assert value(bench("GET", made.response.headers["Location"])) == [1, 2]


def test_head_answers_as_get(bench):
    """HEAD finds what GET finds; the transport leaves the body out."""
    bench("PUT", "/x/1", {"a": 1})

    head, get = bench("HEAD", "/x/1"), bench("GET", "/x/1")

    assert head.response == get.response


def test_options_and_unknown_methods_name_what_is_allowed(bench):
    """OPTIONS lists the methods, any other is 405."""
    allowed = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

    for method, status in (("OPTIONS", 204), ("PROPFIND", 405), ("TRACE", 405)):
        answer = bench(method, "/x")
        assert (answer.response.status, answer.response.headers["Allow"]) == (status, allowed)


def test_if_match_guards_a_write(bench):
    """A write under an old ETag answers 412 and changes nothing."""
    etag = bench("PUT", "/x/1", {"a": 1}).response.headers["ETag"]

    first = bench("PUT", "/x/1", {"a": 2}, If_Match=etag)
    again = bench("PUT", "/x/1", {"a": 2}, If_Match=etag)

    assert (first.response.status, first.effects) == (200, 1)
    assert (again.response.status, again.effects) == (412, 0)


def test_if_none_match_star_creates_once(bench):
    """The second guarded creation answers 412."""
    statuses = [bench("PUT", "/x/1", {"a": 1}, If_None_Match="*").response.status for _ in range(2)]

    assert statuses == [201, 412]


def test_if_none_match_on_a_read_is_not_modified(bench):
    """A GET of what the client has already answers 304 without a body, and with its tag (RFC 9110, 15.4.5)."""
    etag = bench("PUT", "/x/1", {"a": 1}).response.headers["ETag"]

    answer = bench("GET", "/x/1", If_None_Match=f'"other", W/{etag}')

    assert (answer.response.status, answer.response.headers["ETag"], answer.response.body) == (304, etag, b"")


def test_if_unmodified_since_looks_at_the_virtual_clock(bench):
    """A date before the last change fails, the time of the change itself does not."""
    bench("PUT", "/x/1", {"a": 1})
    date = bench("GET", "/x/1").response.headers["Last-Modified"]
    bench.advance(5)

    assert date == "Thu, 01 Jan 2026 00:00:00 GMT"
    assert bench("PUT", "/x/1", {"a": 2}, If_Unmodified_Since=date).response.status == 200
    assert bench("PUT", "/x/1", {"a": 3}, If_Unmodified_Since=date).response.status == 412


def test_if_match_on_what_is_not_there_fails(bench):
    """Nothing matches what does not exist, not even a star."""
    assert bench("DELETE", "/x/1", If_Match="*").response.status == 412


def test_generation_precondition_holds_once(bench):
    """A Cloud Storage upload under a generation is carried out once, whatever its boundary."""
    target = "/upload/storage/v1/b/bucket/o?uploadType=multipart&ifGenerationMatch=0"

    first = bench("POST", target, b"--a\r\nx\r\n--a--", media="multipart/related; boundary=a")
    again = bench("POST", target, b"--b\r\nx\r\n--b--", media="multipart/related; boundary=b")

    assert (first.response.status, first.effects) == (201, 1)
    assert (again.response.status, again.effects) == (412, 0)
