"""Proofs over HTTP: what one needs to check the log without trusting who keeps it."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from commands.lead import CaptureLead, QualifyLead
from eventstore.merkle import check_consistency, check_inclusion
from eventstore.notes import Verifier
from eventstore.tree import Checkpoint
from tests.doors import Client, a_node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.node import Node

LEAD = uuid4()


@pytest.fixture(scope="module")
def node(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with a_node(postgres_url, tmp_path_factory.mktemp("node")) as started:
        yield started


@pytest.fixture(scope="module")
def ann(node: Node) -> Iterator[Client]:
    with Client(node, UUID(int=0xA)) as client:
        yield client


def sealed(ann: Client, size: int) -> Checkpoint:
    """The checkpoint, once it is about so many events."""
    keys = [Verifier.parse(key) for key in ann.get("/checkpoint/keys").json()["keys"]]
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        reply = ann.get("/checkpoint")
        if reply.is_success:
            checkpoint = Checkpoint.parse(reply.text, keys)
            if checkpoint.size >= size:
                return checkpoint
        time.sleep(0.05)
    pytest.fail("the log was not sealed")


def raw(text: str) -> bytes:
    return base64.b64decode(text)


def test_an_event_is_proved_and_the_log_continues_itself(ann: Client):
    ann.post(f"/leads/{LEAD}/capture", CaptureLead.example)
    first = sealed(ann, 1)
    ann.post(f"/leads/{LEAD}/qualify", QualifyLead.example)
    newest = sealed(ann, 2)

    event = ann.get("/events").text.splitlines()[0].split('"event_id":"')[1][:36]
    proof = ann.get(f"/proofs/inclusion/{event}").json()
    path = [raw(text) for text in proof["hashes"]]
    check_inclusion(raw(proof["leaf_hash"]), 0, 2, path, newest.root)
    assert proof["checkpoint"] == newest.note

    proof = ann.get("/proofs/consistency", params={"old": 1}).json()
    path = [raw(text) for text in proof["hashes"]]
    check_consistency(1, 2, first.root, newest.root, path)
    assert raw(proof["old_root"]) == first.root


def test_what_cannot_be_proved_is_not_found(ann: Client):
    assert ann.get(f"/proofs/inclusion/{uuid4()}").status_code == 404
    assert ann.get("/proofs/consistency", params={"old": 10**9}).status_code == 404
    assert ann.get("/proofs/consistency", params={"old": 2, "new": 1}).status_code == 404
    assert ann.get("/proofs/consistency", params={"old": -1}).status_code == 422
    assert ann.get("/proofs/consistency").status_code == 422


def test_nobody_asks_without_a_key(ann: Client):
    for path in ("/checkpoint", "/checkpoint/keys", f"/proofs/inclusion/{uuid4()}"):
        assert ann.get(path, headers={"Authorization": ""}).status_code == 401
