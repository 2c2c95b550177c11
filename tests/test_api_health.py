"""Health: open to anybody, and honest about what lags, what is poisoned and what is gone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from commands.lead import CaptureLead
from eventstore.errors import Unavailable
from eventstore.tree import Tiles, TreeDamaged
from tests.doors import Client, a_node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.node import Node

LEAD = CaptureLead.example


@pytest.fixture(scope="module")
def node(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with a_node(postgres_url, tmp_path_factory.mktemp("node")) as started:
        yield started


@pytest.fixture(scope="module")
def anybody(node: Node) -> Iterator[Client]:
    with Client(node, UUID(int=0xA)) as ann:
        position = ann.post("/leads", LEAD).json()["position"]
        assert node.follower.wait_for(position, 10)
        seal(node)
    with Client(node, UUID(int=0xA), Authorization="") as client:
        yield client


def test_a_node_that_works_says_so_to_anybody(anybody: Client):
    reply = anybody.get("/health")
    assert reply.status_code == 200
    assert reply.json() == {
        "status": "ok",
        "position": 1,
        "waiting_commands": 0,
        "poisoned": 0,
        "error": None,
        "tables": {"position": 1, "behind_events": 0, "behind_seconds": 0.0},
        "read_node": None,
        "sealed": {"position": 1, "behind_events": 0, "behind_seconds": 0.0},
        "not_sealed": None,
        "anchors": [],
        "followers": {},
    }


def seal(node: Node) -> None:
    """Wait until all there is was sealed."""
    deadline = time.monotonic() + 30
    while True:
        with node.workspace.log.cursor() as cursor:
            if sealed := Tiles(cursor).sealed():
                assert sealed.size == 1
                return
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_tree_that_is_not_signed_on_is_told(
    node: Node, anybody: Client, monkeypatch: pytest.MonkeyPatch
):
    def refuse() -> None:
        raise TreeDamaged("what was found")

    monkeypatch.setattr(node.sealer, "seal", refuse)
    deadline = time.monotonic() + 30
    while (reply := anybody.get("/health")).json()["not_sealed"] is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (reply.status_code, reply.json()["not_sealed"]) == (200, "TreeDamaged")
    assert "found" not in reply.text


def test_whoever_keeps_a_place_in_the_log_is_seen_to_lag(node: Node, anybody: Client):
    with node.workspace.log.transaction() as turn:
        turn.track("learning.sleepy", 0)
    lag = anybody.get("/health").json()["followers"]["learning.sleepy"]
    assert (lag["position"], lag["behind_events"]) == (0, 1)
    assert lag["behind_seconds"] > 0


def test_a_read_node_is_seen_as_soon_as_it_was_started(node: Node, anybody: Client):
    node.questions.start()
    deadline = time.monotonic() + 60
    while not (found := anybody.get("/health").json()["read_node"])["alive"]:
        assert found == {"alive": False, "tables": None} | dict.fromkeys(
            ("memory_bytes", "memory_bytes_max")
        )
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert found["tables"]["position"] <= anybody.get("/health").json()["position"]
    assert 0 < found["memory_bytes"] < found["memory_bytes_max"]


def test_tables_that_stand_still_are_no_health(
    node: Node, anybody: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(node.follower, "error", ValueError("a value that is nobody's business"))
    reply = anybody.get("/health")
    assert (reply.status_code, reply.json()["status"]) == (503, "failing")
    assert reply.json()["error"] == "ValueError"
    assert "business" not in reply.text


def test_a_log_out_of_reach_is_no_health(
    node: Node, anybody: Client, monkeypatch: pytest.MonkeyPatch
):
    def away() -> int:
        raise Unavailable("secret address")

    monkeypatch.setattr(type(node.workspace.log), "last_position", lambda _: away())
    reply = anybody.get("/health")
    assert (reply.status_code, reply.json()["error"]) == (503, "Unavailable")
    assert reply.json()["position"] is None
    assert "secret" not in reply.text
