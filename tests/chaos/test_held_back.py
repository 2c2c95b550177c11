"""A row has its number and is not committed yet: what makes readers of other stores skip events."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.chaos.effort import KILLS
from tests.chaos.load import LogTail
from tests.test_many_writers import lines, processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventstore.workspace import Workspace

PROCESSES = 8
CAPTURES = 5 * KILLS
HOLDS = KILLS
WAIT_SECONDS = 60
GATE = 4_711

# Whoever appends stops between the sequence and the commit for as long as the gate is shut.
GATED = f"""
    CREATE FUNCTION backstory_default.gate() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_lock_shared({GATE});
        PERFORM pg_advisory_unlock_shared({GATE});
        RETURN NULL;
    END $$;
    CREATE TRIGGER gate AFTER INSERT ON backstory_default.log_events
    FOR EACH STATEMENT EXECUTE FUNCTION backstory_default.gate();
"""
HELD = (
    f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {GATE} AND NOT granted"
)
QUEUED = """
    SELECT count(*) FROM pg_locks WHERE NOT granted
    AND relation = 'backstory_default.log_events'::regclass
"""
NUMBERED = "SELECT last_value FROM backstory_default.log_events_notification_id_seq"
COMMITTED = "SELECT coalesce(max(notification_id), 0) FROM backstory_default.log_events"


@pytest.fixture
def connection(workspace: Workspace) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(workspace.database_url, autocommit=True) as opened:
        opened.execute(GATED)
        yield opened


def number(connection: psycopg.Connection[Any], query: str) -> int:
    found = connection.execute(query).fetchone()
    return int(found[0]) if found else 0


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@contextmanager
def shut(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Keep the gate shut for a while."""
    connection.execute(f"SELECT pg_advisory_lock({GATE})")
    yield
    connection.execute(f"SELECT pg_advisory_unlock({GATE})")


@pytest.mark.timeout(120 + 3 * KILLS)
def test_nobody_overtakes_a_row_that_is_held_back(
    workspace: Workspace, connection: psycopg.Connection[Any]
):
    """Every time one is held with its number, later numbers wait, and the reader sees nothing."""
    tail = LogTail(workspace.log)
    tail.start()
    arguments = [["capture", str(CAPTURES), str(uuid4())] for _ in range(PROCESSES)]
    acknowledged: list[UUID] = []

    def listen(started: list[Any]) -> None:
        acknowledged.extend(UUID(line) for process in started for line in lines(process))

    with shut(connection), processes(workspace, *arguments) as started:
        listening = threading.Thread(target=listen, args=[started])
        listening.start()
        for _ in range(HOLDS):
            wait_until(lambda: number(connection, HELD) == 1)
            wait_until(lambda: number(connection, QUEUED) >= 1)
            seen, committed = tail.position, number(connection, COMMITTED)
            assert committed < number(connection, NUMBERED)
            time.sleep(0.05)
            assert number(connection, COMMITTED) == committed
            assert seen <= tail.position <= committed
            connection.execute(f"SELECT pg_advisory_unlock({GATE})")
            wait_until(lambda past=committed: number(connection, COMMITTED) > past)  # type: ignore[misc]
            connection.execute(f"SELECT pg_advisory_lock({GATE})")
        connection.execute(f"SELECT pg_advisory_unlock({GATE})")
        listening.join()
        connection.execute(f"SELECT pg_advisory_lock({GATE})")
    end = workspace.log.last_position()
    wait_until(lambda: tail.position == end)
    tail.stopping.set()
    tail.join()
    everything = [(recorded.position, recorded.stream_id) for recorded in workspace.log.read()]
    assert tail.seen == [position for position, _ in everything]
    assert sorted(acknowledged) == sorted(stream for _, stream in everything)
    assert len(acknowledged) == PROCESSES * CAPTURES


def test_without_the_lock_a_reader_would_skip_it(
    workspace: Workspace, connection: psycopg.Connection[Any]
):
    """The control: two appends that do not take the lock, as a careless writer would."""
    append = """
        INSERT INTO backstory_default.log_events (originator_id, originator_version, topic, state,
            event_id, recorded_at, occurred_at, actor, correlation_id)
        VALUES (gen_random_uuid(), 1, 'clock.ticked.v1', '{"moment": "2026-01-31T10:00:00Z"}',
            gen_random_uuid(), now(), now(), gen_random_uuid(), gen_random_uuid())
    """
    url = workspace.database_url
    with psycopg.connect(url) as slow, psycopg.connect(url) as fast:
        connection.execute("DROP TRIGGER gate ON backstory_default.log_events")
        slow.execute(append)
        fast.execute(append)
        fast.commit()
        seen = [recorded.position for recorded in workspace.log.read()]
        slow.commit()
        seen += [recorded.position for recorded in workspace.log.read(seen[-1])]
    assert len(seen) == 1
    assert len(list(workspace.log.read())) == 2
