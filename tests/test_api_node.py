"""A node: what was asked before it closes is done, and its tables change under its readers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from api.node import Node
from commands.base import handle
from commands.lead import CaptureLead
from eventstore.envelope import uuid7
from eventstore.workspace import Workspace
from eventstore.writer import Context
from replay.tables import catch_up, new_generation, open_tables
from tests.doors import Client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ANN = UUID(int=0xA)


@pytest.fixture
def node(tmp_path: Path, database_url: str) -> Iterator[Node]:
    with Node.open(tmp_path, database_url) as started:
        yield started


def lead() -> CaptureLead:
    return CaptureLead.model_validate(CaptureLead.example | {"email": f"{uuid4().hex}@example.com"})


def test_what_waits_is_done_before_a_node_closes(node: Node):
    asked = [
        handle(node.writer, lead(), uuid7(), Context(actor=ANN, correlation_id=uuid7()))
        for _ in range(200)
    ]
    node.close()
    node.close()
    assert all(answer.done() for answer in asked)
    assert len({answer.result().position for answer in asked}) == 200


def test_readers_do_not_notice_that_tables_were_rebuilt(node: Node):
    with Client(node, ANN) as ann:
        position = max(
            ann.post("/leads", lead().model_dump(mode="json")).json()["position"] for _ in range(5)
        )
        ann.get("/leads", params={"min_position": position})
        rebuilt = open_tables(node.workspace, new_generation(node.workspace.directory))
        catch_up(rebuilt, node.workspace.log, position)
        turning = threading.Thread(target=node.turn_to, args=[rebuilt])
        counts = [len(ann.get("/leads").json()["items"])]
        turning.start()
        while turning.is_alive():
            counts.append(len(ann.get("/leads").json()["items"]))
        turning.join()
        later = ann.post("/leads", lead().model_dump(mode="json")).json()["position"]
        after = ann.get("/leads", params={"min_position": later}).json()["items"]
    assert node.tables is rebuilt
    assert set(counts) == {5}
    assert len(after) == 6


def test_a_node_needs_the_keys(tmp_path: Path, database_url: str):
    with (
        Workspace.open(tmp_path, database_url, keys=False) as keyless,
        pytest.raises(ValueError, match="keys"),
    ):
        Node(keyless)
