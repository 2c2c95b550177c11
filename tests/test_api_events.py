"""The log over HTTP: in order, from anywhere, filtered, followed, and without what is personal."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import httpx
import pytest

import api.events
from api.auth import ApiKeys
from api.node import Node
from commands.lead import CaptureLead, QualifyLead
from eventstore.workspace import Workspace
from tests.doors import Client, a_node, listening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ANN, BOB = UUID(int=0xA), UUID(int=0xB)
LEAD, BANT = CaptureLead.example, QualifyLead.example


@pytest.fixture(scope="module")
def node(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with a_node(postgres_url, tmp_path_factory.mktemp("node")) as started:
        yield started


@pytest.fixture(scope="module")
def ann(node: Node) -> Iterator[Client]:
    with Client(node, ANN) as client:
        yield client


@contextmanager
def served(directory: Path, database_url: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server in a process of its own, and its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.serving_process", str(directory), database_url],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process, f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.communicate()


def told(client: Client, **params: Any) -> list[dict[str, Any]]:
    reply = client.get("/events", params=params)
    assert reply.headers["Content-Type"] == "application/x-ndjson"
    return [json.loads(line) for line in reply.text.splitlines()]


@pytest.fixture
def start(node: Node) -> int:
    """Where the log ends before the test."""
    return node.workspace.log.last_position()


def leads(client: Client, count: int) -> list[str]:
    replies = client.together(
        *(
            ("POST", "/leads", {"json": LEAD | {"email": f"{uuid4().hex}@example.com"}})
            for _ in range(count)
        )
    )
    return [reply.json()["id"] for reply in replies]


def test_the_log_is_told_in_its_order_from_any_position(ann: Client, start: int):
    leads(ann, 20)
    everything = [event["position"] for event in told(ann, after=start)]
    assert everything == sorted(everything)
    assert len(everything) == 20
    half = everything[9]
    assert [event["position"] for event in told(ann, after=half)] == everything[10:]
    assert [event["position"] for event in told(ann, after=half, limit=3)] == everything[10:13]
    assert told(ann, limit=0) == []
    assert told(ann)[0]["position"] == 1


def test_a_line_is_envelope_and_data(node: Node, ann: Client, start: int):
    (lead,) = leads(ann, 1)
    (event,) = told(ann, after=start)
    (recorded,) = node.workspace.log.read(start)
    assert event | {"data": {}} == {
        "position": recorded.position,
        "event_id": str(recorded.event_id),
        "stream_id": lead,
        "version": 1,
        "type": "lead.captured.v1",
        "recorded_at": recorded.recorded_at.isoformat().replace("+00:00", "Z"),
        "occurred_at": recorded.occurred_at.isoformat().replace("+00:00", "Z"),
        "actor": str(ANN),
        "correlation_id": str(recorded.correlation_id),
        "causation_id": None,
        "data": {},
    }
    assert event["data"]["name"] == "Ann Example"


def test_the_log_is_filtered_by_stream_type_and_actor(node: Node, ann: Client, start: int):
    first, second = leads(ann, 2)
    ann.post(f"/leads/{first}/qualify", BANT)
    with Client(node, BOB) as bob:
        bob.post(f"/leads/{second}/qualify", BANT)
    assert [event["version"] for event in told(ann, stream=first)] == [1, 2]
    qualified = told(ann, after=start, type="lead.qualified.v1")
    assert [event["stream_id"] for event in qualified] == [first, second]
    assert len(told(ann, after=start, type=["lead.qualified.v1", "lead.captured.v1"])) == 4
    assert len(told(ann, after=start, type="lead")) == 4
    assert told(ann, type="deal") == []
    assert [event["stream_id"] for event in told(ann, actor=str(BOB))] == [second]


def test_pages_of_the_log_join_without_a_seam(
    ann: Client, start: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(api.events, "PAGE_EVENTS", 3)
    leads(ann, 10)
    assert [event["version"] for event in told(ann, after=start)] == [1] * 10
    assert len(told(ann, limit=7)) == 7
    assert len(told(ann, type="lead", limit=9)) == 9


def test_personal_values_are_shown_to_keys_that_may_see_them(node: Node, ann: Client, start: int):
    leads(ann, 1)
    with Client(node, BOB, personal=False) as analyst:
        (event,) = told(analyst, after=start)
    assert event["data"]["name"] == event["data"]["email"] == "[hidden]"
    assert event["data"]["phone"] is None
    assert event["data"]["source"] == LEAD["source"]


@pytest.mark.parametrize(
    "params",
    [
        {"after": -1},
        {"after": 2**63},
        {"after": "x"},
        {"limit": -1},
        {"stream": "7"},
        {"type": "lead\x00"},
        {"type": "Lead"},
        {"type": "lead'; drop"},
        {"actor": "ann"},
        {"follow": "perhaps"},
        {"types": "lead"},
        {"after": [1, 2]},
    ],
)
def test_a_filter_that_means_nothing_is_invalid(ann: Client, params: dict[str, Any]):
    reply = ann.get("/events", params=params)
    assert (reply.status_code, reply.json()["title"]) == (422, "Invalid")


def test_no_key_no_log(ann: Client):
    assert ann.get("/events", headers={"Authorization": ""}).status_code == 401


def test_who_follows_hears_at_once_and_until_the_server_ends(tmp_path: Path, database_url: str):
    with Workspace.open(tmp_path, database_url) as workspace:
        key = ApiKeys(workspace).create(ANN)
    heard: list[tuple[float, dict[str, Any]]] = []
    with (
        served(tmp_path, database_url) as (process, address),
        httpx.Client(
            base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=60
        ) as http,
    ):
        first = http.post("/leads", json=LEAD)
        assert first.status_code == 201

        def follow() -> None:
            with http.stream("GET", "/events", params={"follow": True}) as reply:
                heard.extend((time.monotonic(), json.loads(line)) for line in reply.iter_lines())

        follower = threading.Thread(target=follow)
        follower.start()
        wait_until(lambda: len(heard) == 1)
        asked, told = [], [first]
        for number in range(2, 5):  # now and then a busy machine is late
            asked.append(time.monotonic())
            told.append(http.post(first.headers["Location"] + "/engage", json={"kind": "call"}))
            wait_until(lambda count=number: len(heard) == count)
        process.send_signal(signal.SIGTERM)
        follower.join(60)
        assert not follower.is_alive()
        assert process.wait(60) in {0, -signal.SIGTERM}
    assert [event["position"] for _, event in heard] == [reply.json()["position"] for reply in told]
    assert min(at - began for (at, _), began in zip(heard[1:], asked, strict=True)) < 1


def test_a_silent_line_shows_that_it_is_open_and_is_let_go(
    node: Node, ann: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(api.events, "HEARTBEAT_SECONDS", 0.05)

    async def nothing(_: object) -> bytes:
        return b""

    async def listen() -> list[bytes]:
        head = node.workspace.log.last_position()
        lines = api.events._lines(node, (head, head), None, {}, nothing, follow=True)
        beats = [await anext(lines) for _ in range(3)]
        assert len(node.pulse._beats) == 1
        await lines.aclose()
        return beats

    assert ann._runner.run(listen()) == [b"\n"] * 3
    assert not node.pulse._beats


def test_who_hangs_up_is_forgotten(tmp_path: Path, database_url: str):
    node = Node.open(tmp_path, database_url).start()
    key = node.api_keys.create(ANN)
    params = {"follow": True}
    headers = {"Authorization": f"Bearer {key}"}
    with listening(node) as address:
        events = f"{address}/events"
        with httpx.stream("GET", events, params=params, headers=headers, timeout=60):
            wait_until(lambda: len(node.pulse._beats) == 1)
        wait_until(lambda: not node.pulse._beats)


def test_a_server_closes_its_node_after_its_last_answer(tmp_path: Path, database_url: str):
    node = Node.open(tmp_path, database_url).start()
    key = node.api_keys.create(ANN)
    with listening(node) as address:
        reply = httpx.post(
            f"{address}/leads", json=LEAD, headers={"Authorization": f"Bearer {key}"}, timeout=60
        )
    assert reply.status_code == 201
    assert node._closed


def wait_until(true: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
