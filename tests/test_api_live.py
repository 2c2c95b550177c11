"""Events and the rows they change, over a WebSocket, as they come."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

import api.events
import api.live
from commands.lead import CaptureLead, QualifyLead
from domain.base import HIDDEN
from eventstore.reads import reads
from readmodels.query import Moment, page
from tests.doors import Client, a_node, listening

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.node import Node

ANN = UUID(int=0xA)
LEAD, BANT = CaptureLead.example, QualifyLead.example
PATIENCE_SECONDS = 30.0


@pytest.fixture(scope="module")
def node(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with a_node(postgres_url, tmp_path_factory.mktemp("live")) as started:
        yield started


@pytest.fixture(scope="module")
def ann(node: Node) -> Iterator[Client]:
    with Client(node, ANN) as client:
        yield client


@pytest.fixture(scope="module")
def address(node: Node) -> Iterator[str]:
    with listening(node) as url:
        yield url.replace("http", "ws") + "/live"


@pytest.fixture
def key(node: Node) -> str:
    return node.api_keys.create(ANN, "live")


@pytest.fixture
def start(node: Node) -> int:
    return node.workspace.log.last_position()


@contextmanager
def told(address: str, key: str, params: str = "") -> Iterator[ClientConnection]:
    headers = {"Authorization": f"Bearer {key}"}
    with connect(f"{address}?{params}", additional_headers=headers) as client:
        yield client


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.live, "SEND_SECONDS", 0.3)


def hear(client: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(client.recv(PATIENCE_SECONDS))
    return message


def events(client: ClientConnection, count: int) -> list[dict[str, Any]]:
    """So many messages with an event in them."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        message = hear(client)
        assert "problem" not in message
        found += [message] if "event" in message else []
    return found


def captured(client: Client) -> str:
    body = LEAD | {"email": f"{uuid4().hex}@example.com"}
    lead: str = client.post("/leads", body).json()["id"]
    return lead


def test_an_event_comes_with_the_rows_it_changed(ann: Client, address: str, key: str, start: int):
    with told(address, key, f"after={start}") as client:
        lead = captured(ann)
        ann.post(f"/leads/{lead}/qualify", BANT)
        first, second = events(client, 2)
    assert (first["event"]["type"], second["event"]["type"]) == (
        "lead.captured.v1",
        "lead.qualified.v1",
    )
    assert [row["status"] for row in first["rows"]["lead"]] == ["open"]
    assert [row["status"] for row in second["rows"]["lead"]] == ["qualified"]
    assert second["rows"]["lead"][0]["name"] == LEAD["name"]
    assert second["rows"]["lead_status_change"][0]["event_id"] == second["event"]["event_id"]


def test_what_is_told_is_recorded_as_read_before_it_is_told(
    node: Node, ann: Client, address: str, start: int
):
    bob = UUID(int=0xB0B)
    with told(address, node.api_keys.create(bob, "live"), f"after={start}") as client:
        lead = captured(ann)
        [message] = events(client, 1)
        found = reads(node.workspace.log, actor=bob, limit=10)
    assert message["event"]["data"]["name"] == LEAD["name"]
    assert [(one.door, [str(id) for id in one.subjects]) for one in found] == [
        ("WebSocket /live", [lead])
    ]
    assert set(found[0].fields) >= {"email", "name"}


def test_what_is_told_without_personal_values_leaves_no_trace(
    node: Node, ann: Client, address: str, start: int
):
    eve = UUID(int=0xE7E)
    key = node.api_keys.create(eve, "live", personal=False)
    with told(address, key, f"after={start}") as client:
        captured(ann)
        [message] = events(client, 1)
    assert LEAD["name"] not in json.dumps(message)
    assert reads(node.workspace.log, actor=eve, limit=10) == []


def test_who_comes_again_goes_on_where_he_was(ann: Client, address: str, key: str, start: int):
    leads = [captured(ann) for _ in range(5)]
    with told(address, key, f"after={start}&table=lead") as client:
        whole = events(client, 5)
    assert [message["event"]["stream_id"] for message in whole] == leads
    with told(address, key, f"after={whole[1]['position']}&table=lead") as client:
        assert events(client, 3) == whole[2:]


def test_it_is_told_first_from_where_events_are_told(
    ann: Client, address: str, key: str, start: int
):
    with told(address, key) as now, told(address, key, "after=0") as always:
        assert (hear(now), hear(always)) == ({"position": start}, {"position": 0})
        lead = captured(ann)
        (message,) = events(now, 1)
    assert message["event"]["stream_id"] == lead


def test_pages_do_not_show(
    ann: Client, address: str, key: str, start: int, monkeypatch: pytest.MonkeyPatch
):
    lead = captured(ann)
    for kind in ("call", "reply", "call"):
        ann.post(f"/leads/{lead}/engage", {"kind": kind})
    with told(address, key, f"after={start}") as client:
        whole = events(client, 4)
    monkeypatch.setattr(api.events, "PAGE_EVENTS", 1)
    with told(address, key, f"after={start}") as client:
        assert events(client, 4) == whole


def test_only_what_is_wanted_is_told(ann: Client, address: str, key: str, start: int):
    lead, other = captured(ann), captured(ann)
    ann.post(f"/leads/{other}/qualify", BANT)
    ann.post(f"/leads/{lead}/qualify", BANT)
    wanted = f"after={start}&stream={lead}&type=lead.qualified.v1&rows=false"
    with told(address, key, wanted) as client:
        (message,) = events(client, 1)
    assert message.keys() == {"position", "event"}
    assert message["event"]["stream_id"] == lead
    with told(address, key, f"after={start}&table=engagement&stream={lead}") as client:
        assert [message["rows"] for message in events(client, 2)] == [{}, {}]


def test_what_is_personal_is_hidden_from_keys_that_may_not_see_it(
    node: Node, ann: Client, address: str, start: int
):
    captured(ann)
    blind = node.api_keys.create(ANN, "blind", personal=False)
    with told(address, blind, f"after={start}") as client:
        (message,) = events(client, 1)
    assert message["event"]["data"]["name"] == repr(HIDDEN)
    assert "name" not in message["rows"]["lead"][0]
    assert LEAD["name"] not in json.dumps(message)


def test_while_nothing_happens_the_position_is_told(
    node: Node, ann: Client, address: str, key: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(api.events, "HEARTBEAT_SECONDS", 0.05)
    with told(address, key, "type=deal") as client:
        captured(ann)
        head = node.workspace.log.last_position()
        while (message := hear(client)) != {"position": head}:
            assert message.keys() == {"position"}


def test_who_sends_no_header_says_who_he_is_first(ann: Client, address: str, key: str, start: int):
    captured(ann)
    with connect(f"{address}?after={start}") as client:
        client.send(json.dumps({"authorization": f"Bearer {key}"}))
        assert len(events(client, 1)) == 1


@pytest.mark.parametrize(
    ("params", "first", "said"),
    [
        ("after=-1", "key", "after"),
        ("after=1&after=2", "key", "after"),
        ("table=secrets", "key", "no such table; there are activity"),
        ("colour=red", "key", "colour"),
        ("", '{"authorization": "Bearer bk_no"}', "key-unknown"),
        ("", "no JSON", "key-missing"),
        ("", "[]", "key-missing"),
    ],
)
def test_what_is_wrong_is_told_and_the_line_closed(
    address: str, key: str, params: str, first: str, said: str
):
    headers = {"Authorization": f"Bearer {key}"} if first == "key" else {}
    with connect(f"{address}?{params}", additional_headers=headers) as client:
        if not headers:
            client.send(first)
        problem = hear(client)["problem"]
        assert said in json.dumps(problem)
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(PATIENCE_SECONDS)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == api.live.POLICY


def test_a_key_that_is_revoked_opens_nothing_any_more(
    node: Node, ann: Client, address: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(api.live, "TRUSTED_SECONDS", 0.0)
    doomed = node.api_keys.create(ANN, "doomed")
    (id,) = [key.id for key in node.api_keys.list() if key.label == "doomed"]
    with told(address, doomed) as client:
        hear(client)
        captured(ann)
        assert len(events(client, 1)) == 1
        node.api_keys.revoke(id)
        captured(ann)
        assert "key-unknown" in json.dumps(hear(client)["problem"])


@contextmanager
def slow(address: str, key: str, start: int) -> Iterator[ClientConnection]:
    """A client whose system takes in little before the program reads it."""
    host = urlsplit(address)
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.connect((host.hostname, host.port))
        headers = {"Authorization": f"Bearer {key}"}
        url = f"{address}?after={start}"
        with connect(url, additional_headers=headers, sock=line, compression=None) as client:
            yield client


@pytest.mark.usefixtures("impatient")
def test_a_client_that_does_not_read_is_let_go(
    node: Node, ann: Client, address: str, key: str, start: int
):
    """The log waits for it, and no memory fills."""
    lead, note = captured(ann), "x" * 2000
    fields = {"kind": "call", "note": note}
    engage = json.dumps({"command": "EngageLead", "id": lead, "fields": fields})
    assert ann.post("/commands", content="\n".join([engage] * 3000)).status_code == 200
    deadline = time.monotonic() + PATIENCE_SECONDS
    with slow(address, key, start) as client:
        while not node.pulse.followers:
            assert time.monotonic() < deadline
        while node.pulse.followers:
            assert ann.get("/health").status_code == 200
            assert time.monotonic() < deadline
        with pytest.raises(ConnectionClosed) as closed:
            events(client, 3001)
    assert closed.value.rcvd is not None
    assert "Nothing was read" in closed.value.rcvd.reason


def test_rows_are_those_of_the_tables(node: Node, ann: Client, start: int):
    lead = captured(ann)
    ann.post(f"/leads/{lead}/qualify", BANT)
    last = node.workspace.log.last_position()
    node.follower.wait_for(last, PATIENCE_SECONDS)
    for change in api.live.CHANGES:
        with node.asking() as database:
            for personal in (False, True):
                between = {"after": start, "until": last}
                moment = Moment(None, last)
                found = page(database, change.query, moment, between, limit=100, personal=personal)
                assert all(start < row["position"] <= last for row in found.items)


def test_the_example_of_the_page_hears_what_happens(ann: Client, address: str, key: str):
    page = (Path(__file__).parent.parent / "docs" / "live.md").read_text()
    (example,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    captured(ann)
    environment = os.environ | {"BACKSTORY_LIVE": address, "BACKSTORY_KEY": key}
    command = [sys.executable, "-u", "-c", example]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        try:
            assert client.stdout.readline() == "lead.captured.v1 open\n"
        finally:
            client.terminate()
