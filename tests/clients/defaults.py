"""What unmodified clients do by default under each fault, and the laws that report it: README's table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version

from tests.clients.general import GENERAL
from tests.clients.providers import PROVIDERS

SUBJECTS = (*GENERAL, *PROVIDERS)


@dataclass(frozen=True, slots=True)
class Habit:
    """How a client takes one fault."""

    told: str
    """What its caller got: ``ok``, the status that was returned, or the type of the exception."""
    attempts: int
    wait: tuple[float, float]
    """Least and most seconds before the second attempt."""
    after: float
    """Seconds of silence until the client gave the first attempt up."""
    effects: int
    laws: tuple[str, ...]

    @property
    def words(self) -> str:
        """The cell of the table."""
        if self.told == "NoTimeout":
            return "waits for ever"
        given_up = f"{self.after:g} s, then " if self.after else ""
        if self.attempts == 1:
            return f"{given_up}no retry"
        low, high = self.wait
        when = "at once" if not high else f"after {low:g} s" if low == high else f"after {low:g}–{high:g} s"
        return f"{given_up}again {when}{', done twice' if self.effects > 1 else ''}"


def gives_up(told: str, *laws: str, after: float = 0, effects: int = 0) -> Habit:
    """Describe a client that tells its caller of the failure."""
    return Habit(told, 1, (0, 0), after, effects, laws)


def hangs() -> Habit:
    """Describe one that has no timeout."""
    return Habit("NoTimeout", 1, (0, 0), 0, 0, ("BK07",))


def again(wait: float | tuple[float, float], *laws: str, after: float = 0, effects: int = 1) -> Habit:
    """Describe one that sends the request again, and is answered."""
    return Habit("ok", 2, wait if isinstance(wait, tuple) else (wait, wait), after, effects, laws)


Row = tuple[Habit | None, ...]
"""One habit a fault, in the order of `SCRIPTS`; none where the fault cannot strike."""

HABITS: dict[str, Row] = {
    "requests {requests}": (
        gives_up("503", "RT01"),
        hangs(),
        gives_up("ConnectionError", effects=1),
        gives_up("ConnectionError"),
        gives_up("ConnectionError"),
    ),
    "requests {requests} in a pool of threads, with a timeout": (
        gives_up("503", "RT01"),
        gives_up("ReadTimeout", after=5),
        gives_up("ConnectionError", effects=1),
        gives_up("ConnectionError"),
        gives_up("ConnectionError"),
    ),
    "requests {requests} with urllib3's `Retry`, PUT": (
        again(2),
        again(0, after=5),
        again(0),
        again(0),
        again(0, effects=0),
    ),
    "urllib3 {urllib3}": (
        gives_up("503", "RT01"),
        hangs(),
        gives_up("ProtocolError", effects=1),
        gives_up("ProtocolError"),
        gives_up("ProtocolError"),
    ),
    "urllib3 {urllib3} told `allowed_methods=None`": (
        again(2),
        again(0, "ID01", after=5),
        again(0, "ID01", "ID04", effects=2),
        again(0, "ID01"),
        again(0, "ID01"),
    ),
    "`urllib.request`": (
        gives_up("HTTPError", "RT01"),
        hangs(),
        gives_up("ConnectionResetError", effects=1),
        gives_up("RemoteDisconnected"),
        None,
    ),
    "`http.client`": (
        gives_up("503", "RT01"),
        hangs(),
        gives_up("ConnectionResetError", effects=1),
        gives_up("RemoteDisconnected"),
        gives_up("RemoteDisconnected"),
    ),
    "httpx {httpx}": (
        gives_up("503", "RT01"),
        gives_up("ReadTimeout", after=5),
        gives_up("ReadError", effects=1),
        gives_up("RemoteProtocolError"),
        gives_up("RemoteProtocolError"),
    ),
    "httpx {httpx} on asyncio": (
        gives_up("503", "RT01"),
        gives_up("ReadTimeout", after=5),
        gives_up("ReadError", effects=1),
        gives_up("RemoteProtocolError"),
        gives_up("RemoteProtocolError"),
    ),
    "httpx {httpx} on trio": (
        gives_up("503", "RT01"),
        gives_up("ReadTimeout", after=5),
        gives_up("ReadError", effects=1),
        gives_up("RemoteProtocolError"),
        gives_up("RemoteProtocolError"),
    ),
    "aiohttp {aiohttp}": (
        gives_up("503", "RT01"),
        gives_up("TimeoutError", after=300),
        gives_up("ClientOSError", effects=1),
        gives_up("ServerDisconnectedError"),
        gives_up("ServerDisconnectedError"),
    ),
    "tenacity {tenacity} around requests, 3 attempts": (
        again(1, "BK04"),
        again(1, "ID01", after=5),
        again(1, "ID01", "ID04", effects=2),
        again(1, "ID01"),
        again(1, "ID01"),
    ),
    "stamina {stamina} around httpx": (
        again((0.1, 1.1), "BK04"),
        again((0.1, 1.1), "ID01", after=5),
        again((0.1, 1.1), "ID01", "ID04", effects=2),
        again((0.1, 1.1), "ID01"),
        again((0.1, 1.1), "ID01"),
    ),
    "httpx-retries {httpx-retries}, PUT": (
        again(2),
        again(0, after=5),
        again(0),
        again(0),
        again(0, effects=0),
    ),
    "httpx-retries {httpx-retries} on asyncio, PUT": (
        again(2),
        again(0, after=5),
        again(0),
        again(0),
        again(0, effects=0),
    ),
    "aiohttp-retry {aiohttp-retry}": (
        again(0.2, "BK04"),
        gives_up("TimeoutError", after=300),
        gives_up("ClientOSError", effects=1),
        gives_up("ServerDisconnectedError"),
        gives_up("ServerDisconnectedError"),
    ),
    "boto3 {boto3}, S3": (
        again((0, 1), "BK04"),
        again((0, 1), after=60),
        again((0, 1)),
        again((0, 1)),
        again((0, 1), effects=0),
    ),
    "boto3 {boto3}, SQS": (
        again((0, 1), "BK04"),
        again((0, 1), "ID01", after=60),
        again((0, 1), "ID01", "ID04", effects=2),
        again((0, 1), "ID01"),
        again((0, 1), "ID01"),
    ),
    "boto3 {boto3} in mode `standard`, S3": (
        again((0, 1), "BK04"),
        again((0, 1), after=60),
        again((0, 1)),
        again((0, 1)),
        again((0, 1), effects=0),
    ),
    "boto3 {boto3} in mode `standard`, DynamoDB": (
        again((0, 1), "BK04"),
        again((0, 1), after=60),
        again((0, 1)),
        again((0, 1)),
        again((0, 1), effects=0),
    ),
    "boto3 {boto3} in mode `standard`, SQS": (
        again((0, 1), "BK04"),
        again((0, 1), "ID01", after=60),
        again((0, 1), "ID01", "ID04", effects=2),
        again((0, 1), "ID01"),
        again((0, 1), "ID01"),
    ),
    "aiobotocore {aiobotocore}, S3": (
        again((0, 1), "BK04"),
        again((0, 1), after=60),
        again((0, 1)),
        again((0, 1)),
        again((0, 1), effects=0),
    ),
    "stripe {stripe}": (
        gives_up("APIError", "RT01"),
        gives_up("APIConnectionError", "RT01", after=80),
        gives_up("APIConnectionError", "RT01", effects=1),
        gives_up("APIConnectionError", "RT01"),
        gives_up("APIConnectionError"),
    ),
    "stripe {stripe} with `max_network_retries=2`": (
        again(0.5, "BK04"),
        again(0.5, after=80),
        again(0.5),
        again(0.5),
        again(0.5),
    ),
    "stripe {stripe} with `max_network_retries=2`, async by httpx": (
        again(0.5, "BK04"),
        again(0.5, after=80),
        again(0.5),
        again(0.5),
        again(0.5),
    ),
    "stripe {stripe}, async by httpx": (
        gives_up("APIError", "RT01"),
        gives_up("APIConnectionError", "RT01", after=80),
        gives_up("APIConnectionError", "RT01", effects=1),
        gives_up("APIConnectionError", "RT01"),
        gives_up("APIConnectionError"),
    ),
    "stripe {stripe}, async by aiohttp": (
        gives_up("APIError", "RT01"),
        gives_up("APIConnectionError", "RT01", after=80),
        gives_up("APIConnectionError", "RT01", effects=1),
        gives_up("APIConnectionError", "RT01"),
        gives_up("APIConnectionError"),
    ),
    "google-cloud-storage {google-cloud-storage}, read": (
        again((0, 1), "BK04", effects=0),
        again((0, 1), after=60, effects=0),
        again((0, 1), effects=0),
        again((0, 1), effects=0),
        again((0, 1), effects=0),
    ),
    "google-cloud-storage {google-cloud-storage}, upload": (
        again((0, 1), "BK04"),
        again((0, 1), "ID01", after=60),
        again((0, 1), "ID01", "ID04", effects=2),
        again((0, 1), "ID01"),
        again((0, 1), "ID01"),
    ),
    "google-api-core {google-api-core}, `AsyncRetry` around google-auth": (
        again((0, 1), "BK04"),
        gives_up("TimeoutError", after=180),
        again((0, 1), "ID01", "ID04", effects=2),
        again((0, 1), "ID01"),
        again((0, 1), "ID01"),
    ),
    "azure-core {azure-core}": (
        again(2),
        gives_up("ServiceResponseTimeoutError", after=300),
        gives_up("ServiceResponseError", effects=1),
        gives_up("ServiceResponseError"),
        gives_up("ServiceResponseError"),
    ),
    "azure-core {azure-core}, async": (
        again(2),
        gives_up("ServiceResponseTimeoutError", after=300),
        gives_up("ServiceRequestError", effects=1),
        gives_up("ServiceRequestError"),
        gives_up("ServiceRequestError"),
    ),
    "openai {openai}": (
        again(2),
        again((0.375, 0.5), "ID01", after=600),
        again((0.375, 0.5), "ID01", "ID04", effects=2),
        again((0.375, 0.5), "ID01"),
        again((0.375, 0.5), "ID01"),
    ),
    "openai {openai}, async": (
        again(2),
        again((0.375, 0.5), "ID01", after=600),
        again((0.375, 0.5), "ID01", "ID04", effects=2),
        again((0.375, 0.5), "ID01"),
        again((0.375, 0.5), "ID01"),
    ),
    "anthropic {anthropic}": (
        again(2),
        again((0.375, 0.5), "ID01", after=600),
        again((0.375, 0.5), "ID01", "ID04", effects=2),
        again((0.375, 0.5), "ID01"),
        again((0.375, 0.5), "ID01"),
    ),
    "anthropic {anthropic}, async": (
        again(2),
        again((0.375, 0.5), "ID01", after=600),
        again((0.375, 0.5), "ID01", "ID04", effects=2),
        again((0.375, 0.5), "ID01"),
        again((0.375, 0.5), "ID01"),
    ),
    "twilio {twilio}": (
        gives_up("TwilioRestException", "RT01"),
        hangs(),
        gives_up("ConnectionError", effects=1),
        gives_up("ConnectionError"),
        gives_up("ConnectionError"),
    ),
    "twilio {twilio}, async": (
        gives_up("TwilioRestException", "RT01"),
        hangs(),
        gives_up("ClientOSError", effects=1),
        gives_up("ServerDisconnectedError"),
        gives_up("ServerDisconnectedError"),
    ),
    "slack-sdk {slack-sdk}": (
        gives_up("SlackApiError", "RT01"),
        gives_up("TimeoutError", after=30),
        again((0.5, 1.5), "ID01", "ID04", effects=2),
        again((0.5, 1.5), "ID01"),
        None,
    ),
    "slack-sdk {slack-sdk}, async": (
        gives_up("SlackApiError", "RT01"),
        gives_up("TimeoutError", after=30),
        again((0.5, 1.5), "ID01", "ID04", effects=2),
        again((0.5, 1.5), "ID01"),
        None,
    ),
    "elasticsearch {elasticsearch}": (
        again(0, "BK04"),
        gives_up("ConnectionTimeout", after=10),
        again(0, "ID01", "ID04", effects=2),
        again(0, "ID01"),
        again(0, "ID01"),
    ),
    "elasticsearch {elasticsearch}, async": (
        again(0, "BK04"),
        gives_up("ConnectionTimeout", after=10),
        again(0, "ID01", "ID04", effects=2),
        again(0, "ID01"),
        again(0, "ID01"),
    ),
    "hvac {hvac}": (
        gives_up("VaultDown", "RT01"),
        gives_up("ReadTimeout", after=30),
        gives_up("ConnectionError", effects=1),
        gives_up("ConnectionError"),
        gives_up("ConnectionError"),
    ),
    "kubernetes {kubernetes}": (
        gives_up("ServiceException", "RT01"),
        hangs(),
        gives_up("ProtocolError", effects=1),
        gives_up("ProtocolError"),
        gives_up("ProtocolError"),
    ),
}


def table() -> list[tuple[str, ...]]:
    """List the rows of README's table, of clients alike in one."""
    cells = {
        name: (*(habit.words if habit else "–" for habit in row), ", ".join(_laws(row))) for name, row in HABITS.items()
    }
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, row in cells.items():
        alike.setdefault(row, []).append(with_versions(name))
    return [("; ".join(_shortened(names)), *row) for row, names in alike.items()]


def _shortened(names: list[str]) -> Iterator[str]:
    """Leave out a client's name and version where it was the last one's."""
    last = ""
    for name in names:
        same = last and name.startswith(last)
        yield name.removeprefix(last).lstrip(" ,") if same else name
        last = " ".join(name.split(" ")[:2]).rstrip(",")


def _laws(row: Row) -> list[str]:
    return sorted({law for habit in row if habit for law in habit.laws})


def with_versions(name: str) -> str:
    """Write a client's name with the versions that are installed."""
    return re.sub(r"\{([\w-]+)\}", lambda found: version(found[1]), name)
