"""Several processes write to one log: nothing lost, doubled or skipped, nothing decided on old."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import psycopg
import pytest

from commands.base import Command, handle
from commands.lead import CaptureLead, DisqualifyLead, QualifyLead
from domain.lead import LeadNotOpen
from eventstore.envelope import uuid7
from eventstore.workspace import Workspace
from eventstore.writer import Context, Receipt, Writer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

ROOT = Path(__file__).parent.parent
PROCESSES = 8
CAPTURES = 60

# What makes readers of other stores skip events: a row has its number, and is not committed yet.
HELD_BACK = """
    CREATE FUNCTION backstory_default.hold_back() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(random() * 0.02); RETURN NULL; END $$;
    CREATE TRIGGER hold_back AFTER INSERT ON backstory_default.log_events
    FOR EACH STATEMENT EXECUTE FUNCTION backstory_default.hold_back();
"""


@contextmanager
def processes(workspace: Workspace, *arguments: list[str]) -> Iterator[list[subprocess.Popen[str]]]:
    """Writing processes that begin all at once."""
    url = workspace.database_url
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.writing_process", what, workspace.directory, url, *rest],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        for what, *rest in arguments
    ]
    try:
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in started:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()


def lines(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    found = process.stdout.read().split()
    assert process.wait(30) == 0
    return found


def ask(writer: Writer, command: Command[Any], lead: UUID) -> Receipt:
    context = Context(actor=UUID(int=7), correlation_id=uuid7())
    return handle(writer, command, lead, context).result(30)


def test_eight_processes_write_and_a_reader_at_the_tail_misses_nothing(workspace: Workspace):
    with psycopg.connect(workspace.database_url, autocommit=True) as connection:
        connection.execute(HELD_BACK)
    seen: list[tuple[int, UUID]] = []
    done = threading.Event()

    def follow() -> None:
        position = 0
        while True:
            last_round = done.is_set()
            for recorded in workspace.log.read(position):
                position = recorded.position
                seen.append((position, recorded.stream_id))
            if last_round:
                return
            workspace.log.wait(position, 0.05)

    reader = threading.Thread(target=follow)
    reader.start()
    arguments = [["capture", str(CAPTURES), str(uuid4())] for _ in range(PROCESSES)]
    with processes(workspace, *arguments) as started:
        acknowledged = [UUID(line) for process in started for line in lines(process)]
    done.set()
    reader.join()
    assert len(acknowledged) == PROCESSES * CAPTURES
    assert sorted(acknowledged) == sorted(stream for _, stream in seen)
    assert [position for position, _ in seen] == sorted(position for position, _ in seen)


def test_a_conversion_asked_by_many_processes_gives_one_customer(workspace: Workspace):
    lead = uuid7()
    with Writer(workspace.log) as writer:
        ask(writer, CaptureLead(name="Ann", company="Example Ltd", source="web"), lead)
        ask(writer, QualifyLead(budget=3, authority=3, need=3, timeline=3), lead)
    with processes(workspace, *[["convert", str(lead), "13"] for _ in range(4)]) as started:
        appended = [int(line) for process in started for line in lines(process)]
    assert len(appended) == 52
    assert sum(events > 0 for events in appended) == 1
    types = [recorded.event.type for recorded in workspace.log.read()]
    assert types.count("customer.created.v1") == 1
    assert types.count("lead.converted.v2") == 1


def test_two_leads_of_one_company_converted_at_once_give_one_customer(workspace: Workspace):
    leads = [uuid7() for _ in range(6)]
    with Writer(workspace.log) as writer:
        for number, lead in enumerate(leads):
            email = f"lead{number}@example.com"
            captured = CaptureLead(name="Ann", email=email, company="Example Ltd", source="web")
            ask(writer, captured, lead)
            ask(writer, QualifyLead(budget=3, authority=3, need=3, timeline=3), lead)
    with processes(workspace, *[["convert", str(lead), "3"] for lead in leads]) as started:
        for process in started:
            lines(process)
    events = [recorded.event for recorded in workspace.log.read(types=["lead", "customer"])]
    customers = {e.customer_id for e in events if e.type == "lead.converted.v2"}  # type: ignore[attr-defined]
    assert len(customers) == 1
    assert sum(event.type == "customer.created.v1" for event in events) == 1


def test_commands_on_one_stream_from_many_processes_all_count(workspace: Workspace):
    lead = uuid7()
    with Writer(workspace.log) as writer:
        ask(writer, CaptureLead(name="Ann", source="web"), lead)
    with processes(workspace, *[["race", str(lead), "25"] for _ in range(4)]) as started:
        for process in started:
            lines(process)
    engaged = [recorded.event for recorded in workspace.log.read_stream(lead, 1)]
    assert [event.engagements for event in engaged] == list(range(1, 101))  # type: ignore[attr-defined]


def test_no_refusal_comes_from_a_stale_state(workspace: Workspace):
    """Another process closes and reopens a lead; this one, its cache behind, asks in between."""
    lead = uuid7()
    qualify = QualifyLead(budget=3, authority=3, need=3, timeline=3)
    with (
        Writer(workspace.log) as here,
        processes(workspace, ["obey", str(lead)]) as [there],
    ):
        ask(here, CaptureLead(name="Ann", source="web"), lead)
        for _ in range(25):
            assert tell(there, "disqualify bad_timing") == 1
            # Seen from the cache the lead is open; to qualify it now would be a mistake.
            with pytest.raises(LeadNotOpen):
                ask(here, qualify, lead)
            assert tell(there, "recycle later") == 1
            # Seen from the cache it is disqualified; to refuse it would be an answer from the past.
            assert ask(here, DisqualifyLead(reason="no_need"), lead).events == 1
            assert tell(there, "recycle again") == 1


def tell(process: subprocess.Popen[str], line: str) -> int:
    """Let an obedient process do something; how many events came of it."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    return int(process.stdout.readline())
