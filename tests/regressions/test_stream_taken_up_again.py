"""A stream of server-sent events that breaks off is taken up where it had come to: WHATWG HTML, 9.2."""

from __future__ import annotations

import time

import httpx
import pytest

from pytest_retrychaos import Chaos, LawsBroken, Response
from pytest_retrychaos.model import Headers


def stream(request):
    """Send two of five events, those after the last that the client knows."""
    last = int(request.headers.get("last-event-id", "0"))
    if last == 5:
        return 204, None
    events = "".join(f"id: {number}\ndata: x\n\n" for number in range(last + 1, min(last + 3, 6)))
    return Response(200, Headers({"Content-Type": "text/event-stream"}), events.encode())


def listen(url: str) -> list[int]:
    """Read all events, each once, through whatever breaks."""
    seen: list[int] = []
    with httpx.Client(timeout=5) as client:
        while True:
            headers = {"Last-Event-ID": str(seen[-1])} if seen else {}
            try:
                with client.stream("GET", f"{url}/events", headers=headers) as answer:
                    if answer.status_code == 204:
                        return seen
                    for line in answer.iter_lines():
                        if line.startswith("id: "):
                            seen.append(int(line[4:]))
            except httpx.TransportError:
                pass
            time.sleep(1)


@pytest.mark.chaos("ok, truncate, ok", "truncate, ok", "truncate x2, 503, ok", "ok, reset, ok")
def test_another_last_event_id_is_another_request(chaos: Chaos) -> None:
    """The events that came before the break are not asked for again."""
    chaos.service.route("GET", "/events", stream)

    assert listen(chaos.url) == [1, 2, 3, 4, 5]
    chaos.verify()


def test_who_gives_a_stream_up_is_told(chaos: Chaos) -> None:
    """The stream of another reader is none."""
    chaos.script("reset, ok")
    for name in ("a", "b"):
        try:
            httpx.get(f"{chaos.url}/{name}", headers={"Last-Event-ID": "7"})
        except httpx.TransportError:
            continue

    with pytest.raises(LawsBroken, match="RT01"):
        chaos.verify()
