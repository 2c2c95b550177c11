"""A long log is read by a process of its own: the tables are the same, and nothing is left."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import pyarrow as pa
import pytest

import projections.catch_up
import replay.apart
from projections.passing import PassingEnded, pass_on, take_in, tell
from replay.apart import ReadingLost
from replay.rebuild import build
from replay.tables import folder_of, open_tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore.workspace import Workspace
    from projections.tables import Tables

SLOWLY = """
import sys, time
from pathlib import Path
import replay.apart
from eventstore.workspace import Workspace
from replay.rebuild import build
replay.apart.EVENTS_MIN, replay.apart.FIRST_ROWS = 0, 7
with Workspace.open(Path(sys.argv[1]), sys.argv[2]) as workspace:
    build(workspace, lambda position: print(position, flush=True) or time.sleep(position > 20))
"""


@pytest.fixture
def _apart(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every log is a long one; no process is left of reading it."""
    monkeypatch.setattr(replay.apart, "EVENTS_MIN", 0)
    monkeypatch.setattr(replay.apart, "FIRST_ROWS", 7)
    monkeypatch.setattr(projections.catch_up, "SETTLE_ROWS", 70)
    yield
    assert readers() == []


def readers(of: int | None = None) -> list[psutil.Process]:
    """The processes that read for this one, or for another."""
    children = psutil.Process(of).children()
    living = (child for child in children if child.status() != psutil.STATUS_ZOMBIE)
    return [child for child in living if "replay.apart_child" in child.cmdline()]


def ended(process: psutil.Process) -> bool:
    """Whether a process ends soon, whoever has to be told of it."""
    until = time.monotonic() + 20
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def generations(of: Workspace) -> set[str]:
    return {path.name for path in folder_of(of.directory).iterdir()}


@pytest.mark.usefixtures("_apart")
@pytest.mark.parametrize("rows", [7, 50_000])
def test_the_tables_are_the_same_whoever_reads(
    first_weeks: Workspace, first_tables: Tables, monkeypatch: pytest.MonkeyPatch, rows: int
):
    monkeypatch.setattr(replay.apart, "FIRST_ROWS", rows)
    seen: list[int] = []
    generation = build(first_weeks, lambda _: seen.append(len(readers())))
    assert 1 in seen
    with closing(open_tables(first_weeks, generation)) as tables:
        assert tables.position == tables.taken == first_weeks.log.last_position()
        expected = first_tables.database.digests(values=True)
        assert tables.database.digests(values=True) == expected


@pytest.mark.usefixtures("_apart")
def test_tables_without_personal_values_need_no_keys_there(
    first_weeks: Workspace, first_tables: Tables
):
    keyless = replace(first_weeks, log=first_weeks.log.without_keys(), keys=None)
    expected = first_tables.database.digests()
    with closing(open_tables(keyless, build(keyless))) as tables:
        assert tables.database.digests().items() <= expected.items()


@pytest.mark.usefixtures("_apart")
def test_a_reader_that_is_killed_ends_the_rebuild(first_weeks: Workspace):
    def kill(_: int) -> None:
        for reader in readers():
            reader.kill()

    before = generations(first_weeks)
    with pytest.raises(ReadingLost):
        build(first_weeks, kill)
    assert generations(first_weeks) == before


@pytest.mark.usefixtures("_apart")
def test_a_rebuild_that_is_broken_off_leaves_nothing(first_weeks: Workspace):
    def stop(position: int) -> None:
        if position > 20:
            raise KeyboardInterrupt

    before = generations(first_weeks)
    with pytest.raises(KeyboardInterrupt):
        build(first_weeks, stop)
    assert generations(first_weeks) == before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_the_reader_ends_with_who_rebuilds(first_weeks: Workspace, number: signal.Signals):
    command = [sys.executable, "-c", SLOWLY, str(first_weeks.directory), first_weeks.database_url]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as rebuilding:
        assert rebuilding.stdout is not None
        while int(rebuilding.stdout.readline()) <= 20:
            pass
        [reader] = readers(rebuilding.pid)
        rebuilding.send_signal(number)
        assert ended(reader)


@pytest.mark.usefixtures("_apart")
def test_what_goes_wrong_there_is_told_here(first_weeks: Workspace):
    elsewhere = replace(first_weeks, name="Nowhere")
    with pytest.raises(ValueError, match="not 'Nowhere'"):
        build(elsewhere)


def test_a_batch_that_is_passed_on_stays_what_it_was(first_weeks: Workspace, first_tables: Tables):
    page = first_weeks.log.read_arrow(0, 400)
    spoilt = page["data"].to_pylist()
    spoilt[3], spoilt[17] = b"[]", spoilt[17].replace(b"enc1:", b"enc2:")
    page = page.set_column(10, "data", pa.array(spoilt, pa.binary()))
    batch = first_tables.read(page)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            pass_on(batch, batch.opening(), theirs)
            tell(LookupError("gone"), theirs)
            tell(None, theirs)
            passed = take_in(ours)
            with pytest.raises(LookupError, match="gone"):
                take_in(ours)
            assert take_in(ours) is None
        with pytest.raises(PassingEnded):
            take_in(ours)
    assert passed is not None
    assert len(passed.faults) == 1
    assert passed.events.equals(batch.events)
    assert passed.faults.equals(batch.faults)
    assert passed.frames.keys() == batch.frames.keys()
    assert all(passed.frames[event].equals(frame) for event, frame in batch.frames.items())
    values, unopened = batch.opening()
    opened, faults = passed.opening()
    assert faults.equals(unopened)
    assert opened.keys() == values.keys()
    assert all(opened[event].equals(frame) for event, frame in values.items())
