"""Sealing beside not sealing, and how long it takes to audit a log.

python -m benchmarks.audit DIRECTORY URL EVENTS [--seal]        so many commands, by one process
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psutil

from benchmarks.base import Must, Options, Report
from benchmarks.contest import ROOT, Ground
from benchmarks.leads import QUALIFY, capture
from commands.base import handle
from commands.customer import CreateCustomer, SetCustomerPreferences
from commands.lead import CaptureLead, QualifyLead
from domain.clock import CLOCK, ClockTicked
from domain.user import SYSTEM
from eventstore.envelope import NewEvent, uuid7
from eventstore.sealer import Sealer
from eventstore.workspace import Workspace
from eventstore.writer import Context, Writer
from projections.customer import customer
from readmodels.query import Moment, page, records
from replay.audit import audit_workspace
from replay.base import Bounds, state_at
from replay.evidence import evidence
from replay.tables import catch_up, open_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from commands.base import Command
    from eventstore.promise import Promise

EVENTS = 100_000
PAIRS = 7
WAITING_MAX = 256
BATCH_EVENTS = 5_000
AUDIT_SECONDS_PER_MILLION = 15
SEALING_SHARE = 1.10
LINEAR = 1.25
CUSTOMER_EVENTS = 1_000
AS_OF_MS = 15
BUNDLE_SECONDS = 2
QUESTIONS = 50
COMMANDS_PER_SECOND = 5_000


def run(options: Options, say: Callable[[str], None]) -> Report:
    """Pairs of runs with and without a sealer; then two logs, one twice as long as the other."""
    report = Report("audit")
    events = options.events or EVENTS
    commands = max(100, int(options.seconds * COMMANDS_PER_SECOND))
    pairs = PAIRS if options.rounds > 1 else 1
    with Ground.prepared(options) as ground:
        used: dict[bool, list[float]] = {True: [], False: []}
        for pair in range(pairs):
            for sealing in (True, False) if pair % 2 else (False, True):
                say(f"pair {pair + 1} of {pairs}, {'with' if sealing else 'without'} a sealer")
                used[sealing].append(cpu_seconds(ground, commands, sealing=sealing))
        with Workspace.open(ground.folder(), ground.database()) as workspace:
            half = audited(workspace, events // 2, say)
            whole = audited(workspace, events, say)
            say(f"a customer with {CUSTOMER_EVENTS:,} events")
            long_lived = customer_of(workspace)
            asked = as_of_ms(workspace, *long_lived)
            say(f"evidence of {CUSTOMER_EVENTS:,} events")
            bundled = (
                milliseconds(lambda _: evidence(workspace, long_lived[0]), long_lived[1]) / 1000
            )
    ratio = median(with_ / without for with_, without in zip(used[True], used[False], strict=True))
    for name, sealing in (("sealing", True), ("not sealing", False)):
        report.figures[name] = {"cpu_ms_per_command": median(used[sealing]) / commands * 1000}
    report.figures["audit"] = {"events": events, "seconds": whole, "half_seconds": half}
    report.figures["as-of of one customer"] = {f"{name}_ms": ms for name, ms in asked.items()}
    report.figures["evidence of one customer"] = {"events": CUSTOMER_EVENTS, "seconds": bundled}
    report.must = [
        *(
            Must(
                f"ms for a customer with 1,000 events as of a moment, {name}", ms, at_most=AS_OF_MS
            )
            for name, ms in asked.items()
        ),
        Must("seconds to make a bundle of 1,000 events", bundled, at_most=BUNDLE_SECONDS),
        Must("CPU per command, sealing / not sealing", ratio, at_most=SEALING_SHARE),
        Must(
            "seconds to audit 1,000,000 events",
            whole / events * 1_000_000,
            at_most=AUDIT_SECONDS_PER_MILLION,
        ),
        Must("seconds per event, whole log / half of it", whole / half / 2, at_most=LINEAR),
    ]
    return report


def audited(workspace: Workspace, events: int, say: Callable[[str], None]) -> float:
    """Let the log grow to so many events, and tell how long it takes to audit it: best of three."""
    say(f"a log of {events:,} events")
    grow(workspace, events)
    Sealer.of(workspace).seal()
    say(f"auditing {events:,} events")
    runs = [audit_workspace(workspace) for _ in range(3)]
    assert all(found.good and found.size == events for found in runs), runs
    return min(found.seconds for found in runs) or 0.001


def customer_of(workspace: Workspace) -> tuple[UUID, datetime]:
    """A customer with many events, and when it began."""
    customer_id, began = uuid7(), datetime(2025, 1, 1, tzinfo=UTC)
    with Writer(workspace.log) as writer:
        made = [
            handle(writer, command, customer_id, Context(SYSTEM, uuid7(), occurred_at=at))
            for command, at in life_of_a_customer(began)
        ]
        for one in made:
            one.result()
    return customer_id, began


def as_of_ms(workspace: Workspace, customer_id: UUID, began: datetime) -> dict[str, float]:
    """Milliseconds until a customer is known as of moments all over its life: median of many.

    Asked of the tables, as `GET /customers/{id}?as_of=` does, and folded from the log.
    """
    hours = CUSTOMER_EVENTS / QUESTIONS
    moments = [began + timedelta(hours=number * hours) for number in range(QUESTIONS)]
    tables = [shape.table for shape in customer.shapes]
    _, one_record, _ = records(tables[0], tables[1])
    with closing(open_tables(workspace)) as opened:
        catch_up(opened, workspace.log, workspace.log.last_position())

        def from_tables(moment: datetime) -> object:
            at = Moment(moment, opened.position)
            return page(opened.database, one_record, at, {"id": customer_id}, limit=1).items

        def from_the_log(moment: datetime) -> object:
            return state_at(workspace.log, customer_id, Bounds(moment))

        return {
            name: median(milliseconds(ask, moment) for moment in moments)
            for name, ask in (("from tables", from_tables), ("from the log", from_the_log))
        }


def life_of_a_customer(began: datetime) -> Iterator[tuple[Command[Any], datetime]]:
    """A command an hour."""
    yield CreateCustomer(name="Often Changed Ltd"), began
    for hour in range(1, CUSTOMER_EVENTS):
        preferred = SetCustomerPreferences(preferences={"language": "de", "visits": str(hour)})
        yield preferred, began + timedelta(hours=hour)


def milliseconds(ask: Callable[[datetime], object], moment: datetime) -> float:
    """How long one question takes."""
    started = time.perf_counter()
    assert ask(moment)
    return (time.perf_counter() - started) * 1000


def grow(workspace: Workspace, events: int) -> None:
    """Append events of the clock until there are so many."""
    with workspace.log.transaction() as turn:
        now, version = turn.now, turn.heads([CLOCK])[CLOCK]
    numbers = iter(range(version + 1, events + 1))
    while batch := list(islice(numbers, BATCH_EVENTS)):
        with workspace.log.transaction() as turn:
            turn.append([tick(number, now) for number in batch])


def tick(version: int, moment: datetime) -> NewEvent:
    """One event."""
    id_ = UUID(int=version)
    return NewEvent(id_, CLOCK, version, None, SYSTEM, id_, None, ClockTicked(moment=moment))


def cpu_seconds(ground: Ground, commands: int, *, sealing: bool) -> float:
    """What this process's children use, PostgreSQL included, for so many commands."""
    asked = [sys.executable, "-m", "benchmarks.audit", str(ground.folder()), ground.database()]
    asked += [str(commands), *(["--seal"] if sealing else [])]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with psutil.Popen(asked, text=True, cwd=ROOT, **pipes) as driver:
        assert driver.stdout.readline() == "go\n"
        before = used_by_children()
        told = driver.stdout.readline()
        used = used_by_children() - before
        assert json.loads(told)["sealed"] == (commands if sealing else 0)
        driver.communicate("measured\n")
    return used


def used_by_children() -> float:
    """CPU seconds of all processes below this one, those that have ended included."""
    used = 0.0
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            used += sum(child.cpu_times()[:4])
    return used


def main() -> None:
    """See above."""
    folder, url, commands, *seal = sys.argv[1:]
    with Workspace.open(Path(folder), url) as workspace, Writer(workspace.log) as writer:
        sealer = Sealer.of(workspace)
        if seal:
            sealer.start()
        submit(writer, 2)
        sealed_up_to(workspace, 2 if seal else 0)  # connections and caches are warm
        print("go", flush=True)
        submit(writer, int(commands) - 2)
        sealed = sealed_up_to(workspace, int(commands) if seal else 0)
        print(json.dumps({"sealed": sealed}), flush=True)
        sys.stdin.readline()  # what ended cannot be measured
        sealer.close()


def sealed_up_to(workspace: Workspace, size: int) -> int:
    """Wait until so many events are sealed."""
    sealed = 0
    while sealed < size:
        time.sleep(0.1)
        with workspace.log.cursor() as cursor:
            cursor.execute("SELECT size FROM log_checkpoint")
            sealed = (cursor.fetchone() or {"size": 0})["size"]
    return sealed


def submit(writer: Writer, commands: int) -> None:
    """Capture and qualify leads, so many commands in all, many of them under way at once."""
    qualify = QualifyLead.model_validate(QUALIFY)
    waiting: list[Promise] = []
    for _ in range(commands // 2):
        lead = uuid7()
        captured = CaptureLead.model_validate(capture(lead.hex))
        waiting += [
            handle(writer, command, lead, Context(SYSTEM, uuid7()))
            for command in (captured, qualify)
        ]
        if len(waiting) >= WAITING_MAX:
            for one in waiting:
                one.result()
            waiting.clear()
    for one in waiting:
        one.result()


if __name__ == "__main__":
    main()
