"""What unmodified clients do by default, and the laws that report it: README's table, which a test runs."""

from __future__ import annotations

import http.client
import re
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

import boto3
import httpx
import requests
import stripe
import urllib3
from botocore.config import Config
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from pytest_retrychaos import Chaos
from pytest_retrychaos.model import Headers, Response

ASKED = "503 retry-after=2, ok"
LOST = "reset after-commit, ok"
AWS_JSON = Response(200, Headers({"Content-Type": "application/x-amz-json-1.0"}), b"{}")


@dataclass(frozen=True)
class Default:
    """One habit: ``{name}`` in the client's name stands for the version of that distribution."""

    client: str
    does: str
    laws: tuple[str, ...]
    script: str
    calls: tuple[Callable[[Chaos], object], ...]

    @property
    def cells(self) -> tuple[str, str, str]:
        """The row of the table."""
        client = re.sub(r"\{([\w-]+)\}", lambda found: version(found[1]), self.client)
        return client, self.does, ", ".join(self.laws)


def aws(service: str, **config: object) -> object:
    """Make a client with no endpoint given, of three retries."""
    return boto3.session.Session().client(
        service,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=Config(retries={"mode": "standard", "total_max_attempts": 4}, **config),
    )


def storage_client() -> storage.Client:
    """Make a client of Cloud Storage without credentials."""
    return storage.Client("project", AnonymousCredentials())


def get_by_http_client(chaos: Chaos) -> None:
    connection = http.client.HTTPConnection("service.test", timeout=5)
    connection.request("GET", "/rates")
    connection.getresponse().read()
    connection.close()


def post_by_urllib3(chaos: Chaos) -> object:
    retries = urllib3.Retry(3, backoff_factor=1, allowed_methods=None)
    return urllib3.PoolManager(retries=retries).request("POST", f"{chaos.url}/payments", json={}, timeout=5)


def get_by_urllib3(chaos: Chaos) -> object:
    retries = urllib3.Retry(3, backoff_factor=1, status_forcelist=[503])
    return urllib3.PoolManager(retries=retries).request("GET", f"{chaos.url}/rates", timeout=5)


def get_from_s3(chaos: Chaos) -> object:
    return aws("s3").get_object(Bucket="bucket", Key="key")["Body"].read()


def put_into_dynamodb(chaos: Chaos) -> object:
    chaos.service.route("POST", "dynamodb.us-east-1.amazonaws.com/", lambda _: AWS_JSON)
    return aws("dynamodb").put_item(TableName="table", Item={"id": {"S": "1"}})


def send_to_sqs(chaos: Chaos) -> object:
    chaos.service.route("POST", "sqs.us-east-1.amazonaws.com/", lambda _: AWS_JSON)
    return aws("sqs").send_message(QueueUrl="https://sqs.us-east-1.amazonaws.com/1/queue", MessageBody="hello")


def charge_by_stripe(chaos: Chaos, **options: int) -> object:
    chaos.service.profile = "stripe"
    client = stripe.StripeClient("sk_test_key", **options)
    return client.v1.payment_intents.create({"amount": 1000, "currency": "usd"})


def get_bucket(chaos: Chaos) -> object:
    path = "storage.googleapis.com/storage/v1/b/{bucket}"
    chaos.service.route("GET", path, lambda request: {"name": request.params["bucket"]})
    return storage_client().get_bucket("bucket")


def upload_to_bucket(chaos: Chaos) -> object:
    chaos.service.route("POST", "storage.googleapis.com/upload/storage/v1/b/{bucket}/o", lambda _: {"name": "name"})
    return storage_client().bucket("bucket").blob("name").upload_from_string(b"content")


DEFAULTS = (
    Default(
        "requests {requests}, httpx {httpx}, `urllib.request`, `http.client`",
        "no retry, unless told",
        ("RT01",),
        ASKED,
        (
            lambda chaos: requests.get(f"{chaos.url}/rates", timeout=5),
            lambda chaos: httpx.get(f"{chaos.url}/rates", timeout=5),
            lambda chaos: urllib.request.urlopen(f"{chaos.url}/rates", timeout=5),
            get_by_http_client,
        ),
    ),
    Default(
        "urllib3 {urllib3} told `allowed_methods=None`",
        "sends a POST again after a lost answer, key or not",
        ("ID01", "ID04"),
        LOST,
        (post_by_urllib3,),
    ),
    Default(
        "urllib3 {urllib3} told `status_forcelist=[503]`",
        "raises `InvalidHeader` on a `Retry-After` of 1.5, which ends its retries",
        ("RT01",),
        "503 retry-after=1.5, ok",
        (get_by_urllib3,),
    ),
    Default(
        "boto3 {boto3} with `retries` in mode `standard`, S3 and DynamoDB",
        "does not read `Retry-After`",
        ("BK04",),
        ASKED,
        (get_from_s3, put_into_dynamodb),
    ),
    Default(
        "the same, SQS `send_message`",
        "sent again after a lost answer, without a key",
        ("ID01", "ID04"),
        LOST,
        (send_to_sqs,),
    ),
    Default(
        "stripe {stripe}, `StripeClient` without `max_network_retries`",
        "no retry",
        ("RT01",),
        ASKED,
        (charge_by_stripe,),
    ),
    Default(
        "stripe {stripe} with it",
        "does not read `Retry-After`",
        ("BK04",),
        ASKED,
        (lambda chaos: charge_by_stripe(chaos, max_network_retries=3),),
    ),
    Default(
        "google-cloud-storage {google-cloud-storage} (google-api-core {google-api-core})",
        "does not read `Retry-After`",
        ("BK04",),
        ASKED,
        (get_bucket,),
    ),
    Default(
        "google-cloud-storage {google-cloud-storage}, upload without `if_generation_match`",
        "sent again after a lost answer",
        ("ID01", "ID04"),
        LOST,
        (upload_to_bucket,),
    ),
)
