"""Reports beside what they should say, counted by hand from the events.

`reports()` has the tables of a long story; `Past` is the same story as it was at a moment, told by
folding events one by one: no SQL, no columns.
"""

from __future__ import annotations

import atexit
import math
import shutil
import tempfile
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache, cached_property
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from cli.demo.company import DAYS
from cli.demo.history import history
from cli.demo.steps import dice
from domain.base import Event, Refusal, State, fold
from eventstore.naming import STATES
from projections.tables import Tables
from tests.busy_weeks import busy_weeks
from tests.demo_log import END, Teller
from tests.random_log import arrow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from eventstore.envelope import RecordedEvent
    from readmodels.base import Database

S = TypeVar("S", bound=State[Any])

STEPS = 4_000
TRIES = 9_000


@cache
def story() -> tuple[RecordedEvent, ...]:
    """The first year of the demo, and the busiest weeks imaginable in the midst of it."""
    told = history(END)[:STEPS]
    days = (told[-1].logged - told[0].logged).days - 2
    start = END - timedelta(days=DAYS - 1)
    teller = Teller()
    for step in sorted([*told, *busy_weeks(start, days, TRIES)], key=lambda step: step.logged):
        with suppress(Refusal):
            teller.tell(step)
    return tuple(teller.log)


@cache
def reports() -> Reports:
    """The tables of the story, made once for all tests of a process."""
    return Reports(story())


class Reports:
    """Tables of a log, and the log."""

    def __init__(self, log: Sequence[RecordedEvent]) -> None:
        self.log = log
        directory = tempfile.mkdtemp(prefix="backstory-reports-")
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
        tables = Tables(Path(directory))
        tables.apply(arrow(log))
        self.database: Database = tables.database

    def ask(self, report: str, *given: Any, at: At, **named: Any) -> list[dict[str, Any]]:
        """The rows of a report at a moment."""
        named |= {"as_of": at.as_of, "known_at": at.known_at}
        keys = {f"key_{number}": value for number, value in enumerate(given)}
        arguments = [f"${key}" for key in keys] + [f"{name} := ${name}" for name in named]
        frame = self.database.query(f"FROM {report}({', '.join(arguments)})", keys | named)
        return frame.to_dicts()


@dataclass(frozen=True)
class At:
    """A moment on both axes of time; None: no bound."""

    as_of: datetime | None = None
    known_at: int | None = None

    def __str__(self) -> str:
        return f"{self.as_of and f'{self.as_of:%Y-%m-%d}'}, {self.known_at}"


def moments(seed: int = 1) -> list[At]:
    """Now, and moments at random: bounded on either axis, and on both."""
    log, chance = story(), dice("moments", seed)

    def time() -> datetime:
        first, last = log[0].occurred_at, log[-1].occurred_at
        return first + (last - first) * chance.uniform(0.2, 1)

    def position() -> int:
        return log[chance.randrange(len(log) // 4, len(log))].position

    return [
        At(),
        At(time()),
        At(None, position()),
        *(At(time(), position()) for _ in range(3)),
    ]


@dataclass(frozen=True)
class Seen:
    """An event and the time from which on it counts."""

    recorded: RecordedEvent
    effective_at: datetime

    @property
    def event(self) -> Any:
        """What happened."""
        return self.recorded.event


class Past:
    """A log as it was at a moment."""

    def __init__(self, log: Sequence[RecordedEvent], at: At) -> None:
        self._states: dict[type[State[Any]], dict[UUID, Any]] = {}
        known = [one for one in log if at.known_at is None or one.position <= at.known_at]
        latest: dict[UUID, datetime] = {}
        self.streams: dict[UUID, list[Seen]] = defaultdict(list)
        for recorded in known:
            effective = max(recorded.occurred_at, latest.get(recorded.stream_id, _NEVER))
            latest[recorded.stream_id] = effective
            if at.as_of is None or effective <= at.as_of:
                self.streams[recorded.stream_id].append(Seen(recorded, effective))
        self.facts = [one for one in known if at.as_of is None or one.occurred_at <= at.as_of]
        self.moment = at.as_of or max(recorded.occurred_at for recorded in known)

    def of(self, state: type[S]) -> dict[UUID, S]:
        """The states of all records of a kind, folded."""
        if state not in self._states:
            self._states[state] = {
                stream_id: fold(state(), (seen.event for seen in told))
                for stream_id, told in self.told(state).items()
            }
        return self._states[state]

    def told(self, state: type[State[Any]]) -> dict[UUID, list[Seen]]:
        """The events of all records of a kind."""
        return self._by_state.get(state, {})

    @cached_property
    def _by_state(self) -> dict[type[State[Any]], dict[UUID, list[Seen]]]:
        found: dict[type[State[Any]], dict[UUID, list[Seen]]] = defaultdict(dict)
        for stream_id, told in self.streams.items():
            found[STATES[type(told[0].event)]][stream_id] = told
        return found

    def last(self, stream_id: UUID, *kinds: type[Event]) -> Seen | None:
        """The last event of one of these kinds on a stream."""
        return next(
            (s for s in reversed(self.streams[stream_id]) if isinstance(s.event, kinds)), None
        )

    def happened(self, *kinds: type[Event]) -> Iterator[Any]:
        """Recorded events of these kinds, by when they are said to have happened."""
        return (recorded for recorded in self.facts if isinstance(recorded.event, kinds))


_NEVER = datetime.min.replace(tzinfo=UTC)


def check(rows: list[dict[str, Any]], keys: str, expected: Mapping[Any, Mapping[str, Any]]) -> None:
    """A report has one row for each of these keys, and these values in it.

    `keys` names the columns that tell its rows apart; floats may differ by a rounding.
    """
    names = keys.split()
    found = {tuple(_plain(row[name]) for name in names): row for row in rows}
    wanted = {
        tuple(map(_plain, key if isinstance(key, tuple) else (key,))): values
        for key, values in expected.items()
    }
    assert len(found) == len(rows), "two rows have the same key"
    assert found.keys() == wanted.keys()
    for key, values in wanted.items():
        for name, value in values.items():
            assert _alike(found[key][name], value), (key, name, found[key][name], value)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value


def _alike(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, float) and found is not None:
        return math.isclose(found, wanted, abs_tol=0.0101)
    return found == _plain(wanted)


def cents(value: Decimal) -> Decimal:
    """Money to the cent, half a cent up."""
    return value.quantize(Decimal("0.01"), ROUND_HALF_UP)


def share(part: int, whole: int) -> float | None:
    """A part of a whole."""
    return part / whole if whole else None


def hours(since: datetime, until: datetime) -> float:
    """Hours between two times."""
    return (until - since).total_seconds() / 3600


def days(since: datetime, until: datetime) -> float:
    """Days between two times."""
    return hours(since, until) / 24


def month(moment: datetime | date) -> date:
    """The first day of the month."""
    return date(moment.year, moment.month, 1)


def mean(values: Iterable[float]) -> float | None:
    """The average, None of nothing."""
    known = list(values)
    return fmean(known) if known else None


def quantile(values: Iterable[float], part: float) -> float | None:
    """What a part of the values does not exceed, interpolated; None of nothing."""
    known = sorted(values)
    if not known:
        return None
    place = part * (len(known) - 1)
    low = int(place)
    high = min(low + 1, len(known) - 1)
    return known[low] + (known[high] - known[low]) * (place - low)
