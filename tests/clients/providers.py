"""Clients that providers give away, at their own addresses, with nothing set that need not be."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Iterator

import aiobotocore.session
import anthropic
import boto3
import elasticsearch
import hvac
import kubernetes.client
import openai
import stripe
from azure.core import AsyncPipelineClient, PipelineClient
from azure.core.pipeline.policies import AsyncRetryPolicy, RetryPolicy
from azure.core.rest import HttpRequest
from botocore.config import Config
from google.api_core.exceptions import from_http_status
from google.api_core.retry import AsyncRetry
from google.auth.aio.transport.aiohttp import Request as GoogleRequest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.client import WebClient
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client as TwilioClient

from pytest_retrychaos.model import Headers, Response
from tests.clients.subjects import AsyncCall, Call, Opener, Subject, in_asyncio, in_json

KEYS = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
STORED = Response(200, Headers({"ETag": '"1"'}))
INTENT = in_json('{"id": "pi_1", "object": "payment_intent"}')
ASKED = [{"role": "user", "content": "Hello"}]


@functools.cache
def aws_session() -> boto3.session.Session:
    """Load boto3's models once."""
    return boto3.session.Session(**KEYS)


def aws(service: str, **config: object) -> object:
    """Make a client of three retries, with no endpoint given."""
    return aws_session().client(service, config=Config(retries={"mode": "standard", "total_max_attempts": 4}, **config))


def by_boto3(service: str, act: Callable[[object], object], make: Callable[[str], object] | None = None) -> Opener:
    @contextlib.contextmanager
    def opened() -> Iterator[Call]:
        client = make(service) if make else aws_session().client(service)
        yield lambda: act(client)
        client.close()

    return opened


def put_object(client: object) -> object:
    return client.put_object(Bucket="bucket", Key="key", Body=b"content")


def send_message(client: object) -> object:
    return client.send_message(QueueUrl="https://sqs.us-east-1.amazonaws.com/1/queue", MessageBody="hello")


def put_item(client: object) -> object:
    return client.put_item(TableName="table", Item={"id": {"S": "1"}})


@contextlib.asynccontextmanager
async def by_aiobotocore() -> AsyncIterator[AsyncCall]:
    async with aiobotocore.session.get_session().create_client("s3", **KEYS) as client:
        yield lambda: client.put_object(Bucket="bucket", Key="key", Body=b"content")


def by_stripe(**options: int) -> Opener:
    @contextlib.contextmanager
    def opened() -> Iterator[Call]:
        http = stripe.RequestsClient()
        client = stripe.StripeClient("sk_test_key", http_client=http, **options)
        yield lambda: client.v1.payment_intents.create({"amount": 1000, "currency": "usd"})
        http.close()

    return opened


def by_async_stripe(kind: type[stripe.HTTPClient], **options: int) -> Opener:
    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[AsyncCall]:
        http = kind()
        client = stripe.StripeClient("sk_test_key", http_client=http, **options)
        yield lambda: client.v1.payment_intents.create_async({"amount": 1000, "currency": "usd"})
        await http.close_async()

    return opened


def storage_client() -> storage.Client:
    """Make a client of Cloud Storage without credentials."""
    return storage.Client("project", AnonymousCredentials())


@contextlib.contextmanager
def by_google_storage() -> Iterator[Call]:
    client = storage_client()
    yield lambda: client.get_bucket("bucket")
    client.close()


@contextlib.contextmanager
def by_google_upload() -> Iterator[Call]:
    client = storage_client()
    yield lambda: client.bucket("bucket").blob("name").upload_from_string(b"content")
    client.close()


@contextlib.asynccontextmanager
async def by_google_async_retry() -> AsyncIterator[AsyncCall]:
    request = GoogleRequest()

    @AsyncRetry()
    async def call() -> None:
        response = await request("https://api.example.com/v1/topics", "POST", b"{}")
        await response.read()
        if response.status_code >= 400:
            raise from_http_status(response.status_code, "failed")

    yield call
    await request.close()


@contextlib.contextmanager
def by_azure() -> Iterator[Call]:
    with PipelineClient("https://api.example.com", policies=[RetryPolicy()]) as client:
        yield (
            lambda: (
                client.send_request(
                    HttpRequest("POST", "https://api.example.com/payments", json={"amount": 1})
                ).status_code
            )
        )


@contextlib.asynccontextmanager
async def by_async_azure() -> AsyncIterator[AsyncCall]:
    async with AsyncPipelineClient("https://api.example.com", policies=[AsyncRetryPolicy()]) as client:

        async def call() -> int:
            return (
                await client.send_request(HttpRequest("POST", "https://api.example.com/payments", json={"amount": 1}))
            ).status_code

        yield call


@contextlib.contextmanager
def by_openai() -> Iterator[Call]:
    with openai.OpenAI(api_key="key") as client:
        yield lambda: client.chat.completions.create(model="gpt", messages=ASKED)


@contextlib.asynccontextmanager
async def by_async_openai() -> AsyncIterator[AsyncCall]:
    async with openai.AsyncOpenAI(api_key="key") as client:
        yield lambda: client.chat.completions.create(model="gpt", messages=ASKED)


@contextlib.contextmanager
def by_anthropic() -> Iterator[Call]:
    with anthropic.Anthropic(api_key="key") as client:
        yield lambda: client.messages.create(model="claude", max_tokens=10, messages=ASKED)


@contextlib.asynccontextmanager
async def by_async_anthropic() -> AsyncIterator[AsyncCall]:
    async with anthropic.AsyncAnthropic(api_key="key") as client:
        yield lambda: client.messages.create(model="claude", max_tokens=10, messages=ASKED)


@contextlib.contextmanager
def by_twilio() -> Iterator[Call]:
    client = TwilioClient("AC1", "token")
    yield lambda: client.messages.create(to="+15550001", from_="+15550002", body="hello")
    client.http_client.session.close()


@contextlib.asynccontextmanager
async def by_async_twilio() -> AsyncIterator[AsyncCall]:
    async with AsyncTwilioHttpClient() as http:
        client = TwilioClient("AC1", "token", http_client=http)
        yield lambda: client.messages.create_async(to="+15550001", from_="+15550002", body="hello")


@contextlib.contextmanager
def by_slack() -> Iterator[Call]:
    client = WebClient("xoxb-token")
    yield lambda: client.chat_postMessage(channel="C1", text="hello")


@contextlib.asynccontextmanager
async def by_async_slack() -> AsyncIterator[AsyncCall]:
    client = AsyncWebClient("xoxb-token")
    yield lambda: client.chat_postMessage(channel="C1", text="hello")


@contextlib.contextmanager
def by_elasticsearch() -> Iterator[Call]:
    with contextlib.closing(elasticsearch.Elasticsearch("https://search.example.com:9200")) as client:
        yield lambda: client.index(index="notes", document={"text": "hello"})


@contextlib.asynccontextmanager
async def by_async_elasticsearch() -> AsyncIterator[AsyncCall]:
    async with elasticsearch.AsyncElasticsearch("https://search.example.com:9200") as client:
        yield lambda: client.index(index="notes", document={"text": "hello"})


@contextlib.contextmanager
def by_hvac() -> Iterator[Call]:
    client = hvac.Client("https://vault.example.com:8200", token="token")
    yield lambda: client.secrets.kv.v2.create_or_update_secret("door", {"code": "1"})
    client.adapter.close()


@contextlib.contextmanager
def by_kubernetes() -> Iterator[Call]:
    configuration = kubernetes.client.Configuration(host="https://cluster.example.com:6443")
    with kubernetes.client.ApiClient(configuration) as api:
        core = kubernetes.client.CoreV1Api(api)
        yield lambda: core.create_namespaced_config_map("default", {"metadata": {"name": "one"}})
        api.rest_client.pool_manager.clear()


COMPLETION = in_json('{"id": "1", "object": "chat.completion", "created": 1, "model": "gpt", "choices": []}')
MESSAGE = in_json('{"id": "1", "type": "message", "role": "assistant", "content": [], "model": "claude"}')
INDEXED = in_json('{"_id": "1", "result": "created"}', X_Elastic_Product="Elasticsearch")

STORAGE = "storage.googleapis.com"
S3 = "PUT bucket.s3.amazonaws.com/key"
SQS = "POST sqs.us-east-1.amazonaws.com/"
DYNAMODB = "POST dynamodb.us-east-1.amazonaws.com/"
AWS_JSON = Response(200, Headers({"Content-Type": "application/x-amz-json-1.0"}), b"{}")
STRIPE = "POST api.stripe.com/v1/payment_intents"
OPENAI = "POST api.openai.com/v1/chat/completions"
ANTHROPIC = "POST api.anthropic.com/v1/messages"
TWILIO = "POST api.twilio.com/2010-04-01/Accounts/AC1/Messages.json"
SLACK = "POST slack.com/api/chat.postMessage"
ELASTIC = "POST search.example.com/notes/_doc"
VAULT = "POST vault.example.com/v1/secret/data/door"
CLUSTER = "POST cluster.example.com/api/v1/namespaces/default/configmaps"

PROVIDERS = (
    Subject("boto3 {boto3}, S3", by_boto3("s3", put_object), S3, STORED),
    Subject("boto3 {boto3}, SQS", by_boto3("sqs", send_message), SQS, AWS_JSON),
    Subject("boto3 {boto3} in mode `standard`, S3", by_boto3("s3", put_object, aws), S3, STORED),
    Subject("boto3 {boto3} in mode `standard`, DynamoDB", by_boto3("dynamodb", put_item, aws), DYNAMODB, AWS_JSON),
    Subject("boto3 {boto3} in mode `standard`, SQS", by_boto3("sqs", send_message, aws), SQS, AWS_JSON),
    Subject("aiobotocore {aiobotocore}, S3", by_aiobotocore, S3, STORED, in_asyncio),
    Subject("stripe {stripe}", by_stripe(), STRIPE, INTENT),
    Subject("stripe {stripe} with `max_network_retries=2`", by_stripe(max_network_retries=2), STRIPE, INTENT),
    Subject(
        "stripe {stripe} with `max_network_retries=2`, async by httpx",
        by_async_stripe(stripe.HTTPXClient, max_network_retries=2),
        STRIPE,
        INTENT,
        in_asyncio,
    ),
    Subject("stripe {stripe}, async by httpx", by_async_stripe(stripe.HTTPXClient), STRIPE, INTENT, in_asyncio),
    Subject("stripe {stripe}, async by aiohttp", by_async_stripe(stripe.AIOHTTPClient), STRIPE, INTENT, in_asyncio),
    Subject(
        "google-cloud-storage {google-cloud-storage}, read",
        by_google_storage,
        f"GET {STORAGE}/storage/v1/b/bucket",
        in_json('{"name": "bucket"}'),
    ),
    Subject(
        "google-cloud-storage {google-cloud-storage}, upload",
        by_google_upload,
        f"POST {STORAGE}/upload/storage/v1/b/bucket/o",
        in_json('{"name": "name"}'),
    ),
    Subject(
        "google-api-core {google-api-core}, `AsyncRetry` around google-auth", by_google_async_retry, run=in_asyncio
    ),
    Subject("azure-core {azure-core}", by_azure),
    Subject("azure-core {azure-core}, async", by_async_azure, run=in_asyncio),
    Subject("openai {openai}", by_openai, OPENAI, COMPLETION),
    Subject("openai {openai}, async", by_async_openai, OPENAI, COMPLETION, in_asyncio),
    Subject("anthropic {anthropic}", by_anthropic, ANTHROPIC, MESSAGE),
    Subject("anthropic {anthropic}, async", by_async_anthropic, ANTHROPIC, MESSAGE, in_asyncio),
    Subject("twilio {twilio}", by_twilio, TWILIO, in_json('{"sid": "1"}')),
    Subject("twilio {twilio}, async", by_async_twilio, TWILIO, in_json('{"sid": "1"}'), in_asyncio),
    Subject("slack-sdk {slack-sdk}", by_slack, SLACK, in_json('{"ok": true}'), without=("stale",)),
    Subject("slack-sdk {slack-sdk}, async", by_async_slack, SLACK, in_json('{"ok": true}'), in_asyncio, ("stale",)),
    Subject("elasticsearch {elasticsearch}", by_elasticsearch, ELASTIC, INDEXED),
    Subject("elasticsearch {elasticsearch}, async", by_async_elasticsearch, ELASTIC, INDEXED, in_asyncio),
    Subject("hvac {hvac}", by_hvac, VAULT, in_json('{"data": {"version": 1}}')),
    Subject("kubernetes {kubernetes}", by_kubernetes, CLUSTER, in_json('{"metadata": {"name": "one"}}')),
)
