"""Provider SDKs, unmodified, at their own addresses over TLS: what each does by default, and which laws that breaks."""

from __future__ import annotations

from dataclasses import replace

import botocore.exceptions
import pytest
import stripe

from pytest_retrychaos import LawsBroken
from pytest_retrychaos.model import Headers, Response
from tests.clients.providers import AWS_JSON, aws, storage_client

FAILURES = "503 retry-after=2, timeout, reset after-commit, ok"


def broken(chaos) -> tuple[str, ...]:
    """List the laws that the run broke."""
    try:
        return chaos.verify().codes
    except LawsBroken as error:
        return error.verdict.codes


def keep_object(chaos, *methods: str) -> None:
    """Let the service take and give one object, as S3 words it."""
    answer = Response(200, Headers({"ETag": '"1"'}), b"content")
    for method in methods:
        body = b"content" if method == "GET" else b""
        chaos.service.route(method, "bucket.s3.amazonaws.com/key", lambda _, body=body: replace(answer, body=body))


@pytest.fixture
def gcs(chaos, monkeypatch):
    """A client of Cloud Storage without credentials."""
    monkeypatch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")  # a thread beside each upload
    return storage_client()


def give_bucket(chaos) -> None:
    path = "storage.googleapis.com/storage/v1/b/{bucket}"
    chaos.service.route("GET", path, lambda request: {"name": request.params["bucket"]})


def take_uploads(chaos) -> None:
    path = "storage.googleapis.com/upload/storage/v1/b/{bucket}/o"
    chaos.service.route("POST", path, lambda _: {"name": "name"})


@pytest.fixture
def payments(chaos):
    """Stripe's payment intents."""
    chaos.service.profile = "stripe"
    chaos.service.route("POST", "api.stripe.com/v1/payment_intents", lambda _: {"id": "pi_1", "status": "succeeded"})
    return stripe.StripeClient("sk_test_key", max_network_retries=3).v1.payment_intents


def test_s3_put_object_reaches_success(chaos):
    """Writing an object is safe to repeat; botocore obeys its own ``x-amz-retry-after`` only, not ``Retry-After``."""
    keep_object(chaos, "PUT")
    chaos.script(FAILURES)

    assert aws("s3").put_object(Bucket="bucket", Key="key", Body=b"content")["ETag"] == '"1"'

    assert [(attempt.scheme, attempt.host) for attempt in chaos.attempts] == [("https", "bucket.s3.amazonaws.com")] * 4
    assert chaos.waits[0] < 2
    assert 60 <= chaos.clock.elapsed < 70
    assert len(chaos.ledger) == 1
    assert broken(chaos) == ("BK04",)


def test_s3_get_object_reaches_success(chaos):
    """The same for reading; its body is read after the call has returned."""
    keep_object(chaos, "GET")
    chaos.script(FAILURES)

    assert aws("s3").get_object(Bucket="bucket", Key="key")["Body"].read() == b"content"

    assert broken(chaos) == ("BK04",)


def test_s3_get_object_finds_a_truncated_body(chaos):
    """It comes as botocore's own error, too late for its retries."""
    keep_object(chaos, "GET")
    chaos.script("truncate")
    body = aws("s3").get_object(Bucket="bucket", Key="key")["Body"]

    with pytest.raises(botocore.exceptions.ResponseStreamingError):
        body.read()

    chaos.assert_not_retried()


def test_s3_finds_a_stale_connection(chaos):
    """The pooled connection turns out dropped: botocore sends the request again."""
    keep_object(chaos, "PUT", "GET")
    chaos.script("ok, stale, ok")
    s3 = aws("s3")
    s3.get_object(Bucket="bucket", Key="key")["Body"].read()

    assert s3.put_object(Bucket="bucket", Key="key", Body=b"content")["ETag"] == '"1"'

    assert [attempt.fault for attempt in chaos.attempts] == ["ok", "stale", "ok"]
    assert broken(chaos) == ()


def test_dynamodb_transactions_carry_a_token(chaos):
    """botocore makes the ``ClientRequestToken`` once for a call: a lost response has one effect."""
    chaos.service.route("POST", "dynamodb.us-east-1.amazonaws.com/", lambda _: AWS_JSON)
    chaos.script(FAILURES)
    item = {"Put": {"TableName": "table", "Item": {"id": {"S": "1"}}}}

    aws("dynamodb").transact_write_items(TransactItems=[item])

    assert {attempt.key_carrier for attempt in chaos.attempts} == {"body:ClientRequestToken"}
    assert len(chaos.ledger) == 1
    assert broken(chaos) == ("BK04",)


def test_sqs_send_message_carries_none(chaos):
    """A standard queue takes a message twice where the response was lost: ID01 and ID04 say so."""
    chaos.service.route("POST", "sqs.us-east-1.amazonaws.com/", lambda _: AWS_JSON)
    chaos.script("timeout, reset after-commit, ok")

    aws("sqs").send_message(QueueUrl="https://sqs.us-east-1.amazonaws.com/1/queue", MessageBody="hello")

    assert len(chaos.ledger) == 2
    assert broken(chaos) == ("ID01", "ID04")


def test_botocore_takes_a_truncated_json_answer_for_a_success(chaos):
    """It reads the body without looking at its length, and lets JSON that cannot be read pass."""
    chaos.service.route("POST", "dynamodb.us-east-1.amazonaws.com/", lambda _: AWS_JSON)
    chaos.script("truncate")

    answer = aws("dynamodb").put_item(TableName="table", Item={"id": {"S": "1"}})

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    chaos.assert_not_retried()


def test_stripe_reaches_success_with_one_charge(chaos, payments):
    """The SDK's own key is the same on every attempt; it does not look at ``Retry-After``."""
    chaos.script(FAILURES)

    assert payments.create({"amount": 1000, "currency": "usd"}).id == "pi_1"

    assert len(chaos.attempts) == 4
    assert len({attempt.key for attempt in chaos.attempts}) == 1
    assert chaos.attempts[0].scheme == "https"
    assert chaos.waits[0] < 2
    assert 80 < chaos.clock.elapsed < 90
    assert len(chaos.ledger) == 1
    assert broken(chaos) == ("BK04",)


def test_stripe_finds_a_stale_connection(chaos, payments):
    """The session's connection turns out dropped after the charge was made: the replay has no second effect."""
    chaos.script("ok, stale after-commit, ok")

    for amount in (1000, 2000):
        payments.create({"amount": amount, "currency": "usd"})

    assert [attempt.replayed for attempt in chaos.attempts] == [False, False, True]
    assert len(chaos.ledger) == 2
    assert broken(chaos) == ()


def test_stripe_gives_a_declined_card_to_the_caller(chaos):
    """402 is permanent: no retry, and the SDK's own exception."""
    chaos.service.profile = "stripe"
    chaos.script("402")

    with pytest.raises(stripe.CardError):
        stripe.StripeClient("sk_test_key", max_network_retries=3).v1.payment_intents.create(
            {"amount": 1000, "currency": "usd"}
        )

    assert broken(chaos) == ()


def test_google_storage_get_bucket_reaches_success(chaos, gcs):
    """google-api-core retries a read by default; it does not look at ``Retry-After``."""
    give_bucket(chaos)
    chaos.script(FAILURES)

    assert gcs.get_bucket("bucket").name == "bucket"

    assert len(chaos.attempts) == 4
    assert [attempt.scheme for attempt in chaos.attempts] == ["https"] * 4
    assert broken(chaos) == ("BK04",)


def test_google_storage_upload_without_a_generation_is_sent_again(chaos, gcs):
    """Since 3.0 an upload is retried by default, precondition or not: ID01 and ID04 see two writes of one object."""
    take_uploads(chaos)
    chaos.script("reset after-commit, ok")

    gcs.bucket("bucket").blob("name").upload_from_string(b"content")

    assert len(chaos.attempts) == 2
    assert broken(chaos) == ("ID01", "ID04")


def test_google_storage_uploads_with_its_thread_beside_it(chaos):
    """Left on, the thread that asks for the bucket's metadata is on the network and on virtual time as well."""
    take_uploads(chaos)
    give_bucket(chaos)
    chaos.script("503, ok", route="POST /upload/storage/v1/b/bucket/o")

    storage_client().bucket("bucket").blob("name").upload_from_string(b"content")

    assert sorted(attempt.method for attempt in chaos.attempts) == ["GET", "POST", "POST"]


def test_google_storage_upload_with_a_generation_is_safe(chaos, gcs):
    """``if_generation_match`` guards the write; what is retried has no second effect."""
    take_uploads(chaos)
    chaos.script("503, timeout, ok")

    gcs.bucket("bucket").blob("name").upload_from_string(b"content", if_generation_match=0)

    assert len(chaos.attempts) == 3
    assert all(attempt.is_guarded for attempt in chaos.attempts)
    assert len(chaos.ledger) == 1
    assert broken(chaos) == ()


def test_google_storage_finds_a_stale_connection(chaos, gcs):
    """The session's connection turns out dropped; the retry layer asks again."""
    give_bucket(chaos)
    chaos.script("ok, stale, ok")

    for _ in range(2):
        gcs.get_bucket("bucket")

    assert [attempt.fault for attempt in chaos.attempts] == ["ok", "stale", "ok"]
    assert broken(chaos) == ()


def test_s3_gets_what_it_put_without_any_route(chaos):
    """The default store is enough for an object: what AWS signs in chunks is kept whole."""
    chaos.script("503, reset after-commit, ok")
    client = aws("s3")

    client.put_object(Bucket="ledger", Key="2030/01.csv", Body=b"one,two\n")

    assert client.get_object(Bucket="ledger", Key="2030/01.csv")["Body"].read() == b"one,two\n"
    assert len(chaos.ledger) == 1
