"""The connection is cut in mid-commit: what happened is found out, nothing is done twice."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

import eventstore.writer
from api.node import Node
from commands.base import handle
from commands.lead import CaptureLead, DisqualifyLead, EngageLead, RecycleLead
from eventstore.envelope import uuid7
from eventstore.errors import OutcomeUnknown, Unavailable
from eventstore.workspace import Workspace
from eventstore.writer import Context, IdempotencyKey, Receipt, Writer
from tests.chaos.effort import CUTS, chance
from tests.chaos.line import Line
from tests.doors import Client
from tests.waiting import wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from eventstore.promise import Promise
    from tests.chaos.line import Cut

ANN = UUID(int=1)
CAPTURE = CaptureLead(name="Ann Example", source="web")
PATIENCE_SECONDS = 60

either = pytest.mark.parametrize("when", ["before", "after"])


@pytest.fixture
def line(database_url: str) -> Iterator[Line]:
    with Line(database_url) as opened:
        yield opened


@pytest.fixture
def workspace(tmp_path: Path, line: Line) -> Iterator[Workspace]:
    with Workspace.open(tmp_path, line.url) as opened:
        yield opened


@pytest.fixture
def writer(workspace: Workspace) -> Iterator[Writer]:
    with Writer(workspace.log) as started:
        yield started


@pytest.fixture
def impatient(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long for a database that stays away."""
    monkeypatch.setattr(eventstore.writer, "RECONNECT_SECONDS", 0.5)
    for pool in workspace.log.pools:
        monkeypatch.setattr(pool, "timeout", 0.2)


def ask(**more: Any) -> Context:
    return Context(actor=ANN, correlation_id=uuid7(), **more)


def insist(asked: Callable[[], Promise]) -> Receipt:
    """Ask until the database is there again."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return asked().result(PATIENCE_SECONDS)
        except Unavailable:
            assert time.monotonic() < deadline


@either
def test_a_commit_that_was_cut_is_found_out_by_its_events(
    line: Line, writer: Writer, workspace: Workspace, when: Cut
):
    lead = uuid7()
    line.cut_next(when)
    receipt = handle(writer, CAPTURE, lead, ask()).result(PATIENCE_SECONDS)
    assert line.cuts == 1
    (recorded,) = workspace.log.read_stream(lead)
    assert (receipt.version, receipt.position, receipt.events) == (1, recorded.position, 1)
    again = handle(writer, EngageLead(kind="call"), lead, ask()).result(PATIENCE_SECONDS)
    assert again.version == 2


@either
def test_a_refusal_under_a_key_is_the_same_after_a_cut(line: Line, writer: Writer, when: Cut):
    lead, key = uuid7(), IdempotencyKey(b"scope", "key", b"digest")
    handle(writer, CAPTURE, lead, ask()).result(PATIENCE_SECONDS)
    line.cut_next(when)
    refused = handle(writer, RecycleLead(reason="x"), lead, ask(key=key))
    assert type(refused.exception(PATIENCE_SECONDS)).__name__ == "LeadNotDisqualified"
    assert line.cuts == 1


@either
@pytest.mark.usefixtures("impatient")
def test_while_the_database_stays_away_the_outcome_is_unknown(
    line: Line, writer: Writer, workspace: Workspace, when: Cut
):
    lead, key = uuid7(), IdempotencyKey(b"scope", "key", b"digest")
    handle(writer, CAPTURE, lead, ask()).result(PATIENCE_SECONDS)
    line.cut_next(when, stay_away=True)
    cut = handle(writer, EngageLead(kind="call"), lead, ask(key=key))
    assert isinstance(cut.exception(PATIENCE_SECONDS), OutcomeUnknown)
    later = handle(writer, EngageLead(kind="call"), lead, ask())
    assert isinstance(later.exception(PATIENCE_SECONDS), Unavailable)
    line.mend()
    again = insist(lambda: handle(writer, EngageLead(kind="call"), lead, ask(key=key)))
    assert again.version == 2
    assert len(workspace.log.read_stream(lead)) == 2


@either
@pytest.mark.usefixtures("impatient")
def test_what_went_in_one_commit_has_one_outcome(line: Line, writer: Writer, when: Cut):
    """Taken apart, the first would be refused because the second is already in the log."""
    leads = [uuid7() for _ in range(100)]
    wait([handle(writer, CAPTURE, lead, ask()) for lead in leads])
    line.cut_next(when, stay_away=True)
    asked = [
        handle(writer, command, lead, ask())
        for lead in leads
        for command in (EngageLead(kind="call"), DisqualifyLead(reason="spam"))
    ]
    told = {type(one.exception(PATIENCE_SECONDS)) for one in asked}
    assert told <= {OutcomeUnknown, Unavailable}
    line.mend()


@pytest.mark.timeout(120 + 3 * CUTS)
def test_many_cuts_double_nothing_and_lose_nothing(
    line: Line, writer: Writer, workspace: Workspace
):
    dice = chance("cuts")
    lead = uuid7()
    handle(writer, CAPTURE, lead, ask()).result(PATIENCE_SECONDS)
    told = []
    for number in range(CUTS):
        line.cut_next(dice.choice(["before", "after"]))
        asked = [
            handle(writer, EngageLead(kind="call", note=f"{number} {one}"), lead, ask())
            for one in range(dice.randint(1, 20))
        ]
        told += [one.result(PATIENCE_SECONDS).position for one in asked]
    assert line.cuts == CUTS
    engaged = workspace.log.read_stream(lead, after_version=1)
    assert [recorded.position for recorded in engaged] == told
    assert max(Counter(recorded.event.note for recorded in engaged).values()) == 1  # type: ignore[attr-defined]


def test_readers_come_back_by_themselves(line: Line, writer: Writer, workspace: Workspace):
    log = workspace.log
    ways = {
        "rows": lambda: len(list(log.read())),
        "columns": lambda: len(log.read_arrow(0, 10)),
        "tail": lambda: log.wait(0, 5),
        "head": log.last_position,
    }
    handle(writer, CAPTURE, uuid7(), ask()).result(PATIENCE_SECONDS)
    for _ in range(3):
        assert [read() for read in ways.values()] == [1, 1, True, 1]
        line.drop()
        for read in ways.values():
            with suppress(Unavailable):
                read()


@either
def test_over_http_it_is_said_that_the_outcome_is_unknown(
    line: Line, tmp_path: Path, when: Cut, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(eventstore.writer, "RECONNECT_SECONDS", 0.5)
    with Node.open(tmp_path, line.url) as node, Client(node, ANN) as ann:
        for pool in node.workspace.log.pools:
            monkeypatch.setattr(pool, "timeout", 0.2)
        node.sealer.close()  # or one of its commits might be the one that is cut
        key = {"Idempotency-Key": "k-1"}
        item = {"command": "CaptureLead", "fields": CaptureLead.example, "key": "k-2"}
        ways = (
            lambda: ann.post("/leads", {"name": "Bob", "source": "web"}, headers=key),
            lambda: ann.post("/commands", item),
        )
        for number, ask in enumerate(ways, start=1):
            line.cut_next(when, stay_away=True)
            told = ask().json()
            problem = told.get("problem", told)
            assert (problem["status"], problem["outcome"]) == (503, "unknown")
            assert problem["retry_by"] == f"k-{number}"
            line.mend()
            while (again := ask()).status_code == 503 or "problem" in again.json():
                assert "nothing was done" in again.text
            assert (again.status_code, again.json()["version"]) in {(200, 1), (201, 1)}
            assert len(list(node.workspace.log.read())) == number
