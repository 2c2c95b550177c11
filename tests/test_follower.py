from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow.compute as pc
import pytest
from eventsourcing.tests.persistence import TrackingRecorderTestCase
from structlog.testing import capture_logs

import projections.catch_up
import projections.follower
from eventstore.errors import Unavailable
from projections import DIMENSIONS
from projections.catch_up import catch_up
from projections.follower import Follower, FollowerStopped
from projections.tables import Tables
from readmodels.bookmark import Bookmark
from tests.random_log import arrow, random_log, unseal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from uuid import UUID

    import pyarrow as pa

EVENTS = arrow(random_log(seed=6, events=240, streams=20))
LAST = EVENTS["position"][-1].as_py()


class Log:
    """A log that grows when it is told to, and can be away."""

    def __init__(self, length: int = 0) -> None:
        self.grown = threading.Condition()
        self.length = length
        self.away: Exception | None = None
        self.reads: list[tuple[int, int]] = []

    def grow(self, events: int) -> int:
        """Append events; returns the position of the last."""
        with self.grown:
            self.length += events
            self.grown.notify_all()
            return EVENTS["position"][self.length - 1].as_py()

    def read_arrow(self, after: int, limit: int) -> pa.Table:
        if self.away:
            raise self.away
        self.reads.append((after, limit))
        known = EVENTS.slice(0, self.length)
        return known.filter(pc.field("position") > after).slice(0, limit)

    def wait(self, after: int, timeout: float) -> bool:
        if self.away:
            raise self.away
        with self.grown:
            return self.grown.wait_for(lambda: self._last() > after, timeout)

    def _last(self) -> int:
        return EVENTS["position"][self.length - 1].as_py() if self.length else 0


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[Tables]:
    tables = Tables(tmp_path, unseal(), dimensions=DIMENSIONS[:3], facts=())
    yield tables
    tables.close()


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    monkeypatch.setattr(projections.follower, "RETRY_SECONDS", 0.02)
    monkeypatch.setattr(projections.follower, "WAIT_SECONDS", 0.05)
    return Log()


@pytest.fixture
def follower(tables: Tables, log: Log) -> Iterator[Follower]:
    follower = Follower(tables, log.read_arrow, log.wait)
    follower.start()
    yield follower
    follower.stop()


def test_the_tables_follow_the_log(follower: Follower, log: Log):
    for events in (1, 20, 3):
        assert follower.wait_for(log.grow(events), 20)
        with follower.tables.database.connection() as connection:
            [(seen,)] = connection.execute("SELECT max(position) FROM event").fetchall()
        assert seen == follower.position
    assert follower.error is None
    assert follower.poisoned == 0


def test_a_position_to_come_is_waited_for_and_not_for_ever(follower: Follower, log: Log):
    assert not follower.wait_for(log.grow(5) + 1, 0.2)
    future = follower.reached(log.grow(5))
    assert future.result(20) == follower.position
    assert follower.reached(1).done()


def test_one_line_is_logged_for_a_batch(tables: Tables):
    log = Log(30)
    follower = Follower(tables, log.read_arrow, log.wait)
    with capture_logs() as lines:
        follower.start()
        assert follower.wait_for(log.grow(1), 20)
        follower.stop()
    batches = [line for line in lines if line["event"] == "follower.batch"]
    assert sum(line["events"] for line in batches) == 31
    assert {"position", "seconds", "settled", "poisoned", "log_level"} <= set(batches[0])


def test_a_log_that_is_away_is_asked_again(follower: Follower, log: Log):
    assert follower.wait_for(log.grow(3), 20)
    log.away = ConnectionError("the server went away")
    position = log.grow(4)
    assert not follower.wait_for(position, 0.2)
    assert follower.error is log.away
    log.away = None
    assert follower.wait_for(position, 20)
    assert follower.error is None


def test_keys_that_are_away_are_asked_for_again(tmp_path: Path, log: Log):
    away: Exception | None = None

    def opened(subjects: Sequence[UUID]) -> Any:
        if away:
            raise away
        return unseal()(subjects)

    with closing(Tables(tmp_path / "a", opened)) as tables:
        follower = Follower(tables, log.read_arrow, log.wait)
        follower.start()
        try:
            assert follower.wait_for(log.grow(100), 20)
            away = Unavailable("the server went away")
            position = log.grow(140)
            assert not follower.wait_for(position, 0.3)
            assert follower.error is away
            away = None
            assert follower.wait_for(position, 20)
            assert follower.error is None
        finally:
            follower.stop()
        with closing(Tables(tmp_path / "b", unseal())) as others:
            others.apply(EVENTS)
            assert tables.digests() == others.digests()


def test_a_crash_is_seen_by_those_who_wait(
    follower: Follower, log: Log, monkeypatch: pytest.MonkeyPatch
):
    assert follower.wait_for(log.grow(3), 20)
    waiting = follower.reached(LAST)

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(follower.tables, "apply", fail)
    with capture_logs() as lines:
        log.grow(10)
        with pytest.raises(FollowerStopped, match="no space left"):
            waiting.result(20)
    assert isinstance(follower.error, OSError)
    assert [line["event"] for line in lines] == ["follower.crashed"]
    with pytest.raises(FollowerStopped):
        follower.reached(LAST).result(1)
    assert not follower.wait_for(LAST, 1)


def test_a_stopped_follower_lets_nobody_wait(follower: Follower, log: Log):
    assert follower.wait_for(log.grow(3), 20)
    waiting = follower.reached(LAST)
    follower.stop()
    with pytest.raises(FollowerStopped):
        waiting.result(1)
    assert follower.error is None


def test_files_are_tidied_up_when_nothing_happens(
    follower: Follower, log: Log, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(projections.follower, "IDLE_SECONDS", 0.1)
    assert follower.wait_for(log.grow(50), 20)
    wal = follower.tables.paths[0].with_name(follower.tables.paths[0].name + ".wal")
    deadline = time.monotonic() + 20
    while wal.exists() and wal.stat().st_size and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not wal.exists() or not wal.stat().st_size


@pytest.mark.parametrize(
    ("until", "rows"),
    [(1, 1), *((until, rows) for until in (None, LAST // 2, 1) for rows in (80, 120, 10_000))],
)
def test_catching_up_ends_where_it_is_told(
    tables: Tables, monkeypatch: pytest.MonkeyPatch, until: int | None, rows: int
):
    monkeypatch.setattr(projections.catch_up, "BATCH_ROWS", rows)
    monkeypatch.setattr(projections.catch_up, "SETTLE_ROWS", 100)
    log = Log(240)
    positions = [
        position for position in EVENTS["position"].to_pylist() if position <= (until or LAST)
    ]
    taken = list(catch_up(tables, log.read_arrow, until))
    assert sum(each.events for each in taken) == len(positions)
    assert tables.position == tables.taken == max(positions, default=0)
    assert taken == [] or taken[-1].settled
    assert list(catch_up(tables, log.read_arrow, until)) == []


class TestBookmark(TrackingRecorderTestCase):
    """What the event sourcing library asks of a tracking recorder."""

    @pytest.fixture(autouse=True)
    def _connected(self) -> Iterator[None]:
        with duckdb.connect(":memory:") as self.connection:
            yield

    def create_recorder(self) -> Bookmark:
        return Bookmark(self.connection)


def test_a_bookmark_moves_with_the_rows_or_not_at_all():
    with duckdb.connect(":memory:") as connection:
        bookmark = Bookmark(connection)
        bookmark.move(3)
        connection.begin()
        bookmark.move(8)
        assert bookmark.position == 8
        connection.rollback()
        assert bookmark.position == 3
