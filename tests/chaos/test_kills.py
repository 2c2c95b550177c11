"""`kill -9` under load: what was acknowledged is there, once, and every reader sees it."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from api.auth import ApiKeys
from commands.base import handle
from commands.lead import CaptureLead
from eventstore.envelope import uuid7
from eventstore.postgres import EmbeddedPostgres
from eventstore.workspace import Workspace
from eventstore.writer import Context, Writer
from tests.chaos.effort import KILLS, chance
from tests.chaos.load import Client, HttpTail, LogTail, in_order, words_in
from tests.chaos.victims import KILLINGS, ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

ANN = UUID(int=1)
CLIENTS = 4
ACKNOWLEDGED_MAX = 60
"""At most so many wishes are acknowledged between one kill and the next."""

RECOVERY_SECONDS_MAX = 90
CATCH_UP_SECONDS = 60


@pytest.fixture
def directory() -> Iterator[Path]:
    """Short enough for the path of a socket."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as path:
        yield Path(path)


@pytest.mark.timeout(120 + 30 * KILLS)
def test_nothing_acknowledged_is_lost_and_nothing_is_done_twice(directory: Path):
    dice = chance("kills")
    with (
        EmbeddedPostgres(directory / "postgres") as postgres,
        Workspace.open(directory, postgres.url) as workspace,
    ):
        key = ApiKeys(workspace).create(ANN)
        hot = a_lead(workspace)
        with ServerProcess(directory, postgres.url) as server:
            clients = [
                Client(f"client-{number}", lambda: server.address, key, hot)
                for number in range(CLIENTS)
            ]
            tails = [LogTail(workspace.log), HttpTail(lambda: server.address, key)]
            for thread in (*clients, *tails):
                thread.start()
            for _ in range(KILLS):
                work(clients, dice.randint(1, ACKNOWLEDGED_MAX))
                time.sleep(dice.uniform(0, 0.05))
                dice.choice(KILLINGS)(server, postgres, dice)
            work(clients, 1)
            for client in clients:
                client.stopping.set()
            for client in clients:
                client.join()
            # What is asked now needs connections that saw no kill.
            with Workspace.open(directory, postgres.url) as afterwards:
                follow_to_the_end(afterwards, tails)
                check(afterwards, clients)


def a_lead(workspace: Workspace) -> str:
    """The lead that all clients share."""
    lead = uuid7()
    with Writer(workspace.log) as writer:
        context = Context(actor=ANN, correlation_id=uuid7())
        handle(writer, CaptureLead(name="Hot", source="hot"), lead, context).result(30)
    return str(lead)


def work(clients: list[Client], acknowledged: int) -> None:
    """Wait until so many more wishes were acknowledged, however long the recovery takes."""
    before = sum(len(client.memory.told) for client in clients)
    deadline = time.monotonic() + RECOVERY_SECONDS_MAX
    while sum(len(client.memory.told) for client in clients) < before + acknowledged:
        assert [client.error for client in clients] == [None] * len(clients)
        assert time.monotonic() < deadline, "it did not recover"
        time.sleep(0.01)


def follow_to_the_end(workspace: Workspace, tails: list[LogTail | HttpTail]) -> None:
    """Both readers come to the end of the log, and have seen all of it, each event once."""
    end = workspace.log.last_position()
    deadline = time.monotonic() + CATCH_UP_SECONDS
    for tail in tails:
        while tail.position < end and time.monotonic() < deadline:
            time.sleep(0.05)
        tail.stopping.set()
        tail.join()
    everything = [recorded.position for recorded in workspace.log.read()]
    for tail in tails:
        assert tail.seen == everything


def check(workspace: Workspace, clients: list[Client]) -> None:
    """What clients were told is what the log holds."""
    assert [client.error for client in clients] == [None] * len(clients)
    assert in_order(workspace.log)
    found = words_in(workspace.log)
    assert found.pop("hot")
    for client in clients:
        for word, told in client.memory.told.items():
            assert found.get(word) == [told], word
        for word in client.memory.wanted - client.memory.told.keys():
            assert len(found.get(word, [])) <= 1, word
    assert set(found) <= set().union(*(client.memory.wanted for client in clients))
