"""Reservations recomputed: the table says who holds what; the log says who should."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from psycopg.sql import SQL

from domain import AGGREGATES
from domain.base import HIDDEN, State, aggregate_of
from replay.base import EventUnreadable, reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from psycopg import Cursor
    from psycopg.rows import DictRow

    from eventstore.envelope import RecordedEvent, StoredEnvelope
    from eventstore.log import Log

PAGE_ROWS = 2_000
HOLDERS = tuple(aggregate_of(of) for of in AGGREGATES if of.holds is not State.holds)
"""Aggregates that hold anything."""

Span = tuple[int, int | None]
"""Position where a reservation was taken, and where it was freed."""

Spans = set[tuple[str, bytes, Span]]
"""What one stream held: kind, keyed hash, and from where to where."""


@dataclass(frozen=True, slots=True)
class WrongReservation:
    """A row of the table that does not follow from the log, or one that is missing."""

    stream_id: UUID
    kind: str
    recorded: Span | None
    """From which position to which the table says it is held; None: the row is missing."""
    recomputed: Span | None
    """The same as the log has it; None: nobody holds it."""

    def __str__(self) -> str:
        return (
            f"reservation {self.kind} of {self.stream_id}: the table says {_span(self.recorded)}, "
            f"the log {_span(self.recomputed)}"
        )


@dataclass(slots=True)
class Recomputed:
    """What came of folding every stream that may hold something."""

    streams: int = 0
    reservations: int = 0
    sealed: int = 0
    """Streams whose keys are gone, though nobody forgot them: what they hold cannot be told."""
    wrong: list[WrongReservation] = field(default_factory=list)
    unreadable: list[EventUnreadable] = field(default_factory=list)


def recompute(log: Log, until: int) -> Recomputed:
    """Fold the log up to a position and compare what streams then held with the table.

    Streams and rows are walked side by side in the order of stream ids, so that memory does not
    grow with the log.
    """
    found = Recomputed()
    rows = _by_stream(log, until)
    row = next(rows, None)
    for stream_id, spans in _recomputed(log, until, found):
        while row is not None and row[0] < stream_id:
            _compare(row[0], set(), row[1], found)
            row = next(rows, None)
        recorded: Spans = set()
        if row is not None and row[0] == stream_id:
            recorded = row[1]
            row = next(rows, None)
        if spans is not None:
            _compare(stream_id, spans, recorded, found)
    while row is not None:
        _compare(row[0], set(), row[1], found)
        row = next(rows, None)
    return found


def _compare(stream_id: UUID, spans: Spans, recorded: Spans, found: Recomputed) -> None:
    found.reservations += len(spans)
    missing: dict[tuple[str, bytes], list[Span]] = defaultdict(list)
    for kind, hash_, span in sorted(spans - recorded, key=_order):
        missing[kind, hash_].append(span)
    for kind, hash_, span in sorted(recorded - spans, key=_order):
        others = missing[kind, hash_]
        right = others.pop(0) if others else None
        found.wrong.append(WrongReservation(stream_id, kind, span, right))
    for (kind, _), left in missing.items():
        found.wrong += [WrongReservation(stream_id, kind, None, span) for span in left]


def _recomputed(log: Log, until: int, found: Recomputed) -> Iterator[tuple[UUID, Spans | None]]:
    """What each stream held, in the order of stream ids; None when that cannot be told."""
    events: list[RecordedEvent | EventUnreadable] = []
    stream_id: UUID | None = None
    for id, event in _events(log, until):
        if id != stream_id:
            if stream_id is not None:
                yield stream_id, _held(log, events, found)
            stream_id, events = id, []
        events.append(event)
    if stream_id is not None:
        yield stream_id, _held(log, events, found)


def _held(
    log: Log, events: Sequence[RecordedEvent | EventUnreadable], found: Recomputed
) -> Spans | None:
    found.streams += 1
    broken = [event for event in events if isinstance(event, EventUnreadable)]
    if broken:
        found.unreadable += broken
        return None
    readable = [event for event in events if not isinstance(event, EventUnreadable)]
    hidden = any(value is HIDDEN for recorded in readable for _, value in recorded.event)
    if hidden and readable[0].stream_id not in log.forgotten.gone:
        found.sealed += 1
        return None
    return _spans(log, readable)


def _spans(log: Log, events: Sequence[RecordedEvent]) -> Spans:
    state: State[Any] = log.state_of(events[0].event)()
    held: dict[tuple[str, bytes], int] = {}
    spans: Spans = set()
    keyed = log.keys.keyed_hash if log.keys else None
    if keyed is None:
        raise ValueError("reservations are keyed hashes; open the workspace with its keys")
    for recorded in events:
        state = state.evolve(recorded.event)
        holds = {(kind, keyed(kind, value)) for kind, value in state.holds()}
        for key in held.keys() - holds:
            spans.add((*key, (held.pop(key), recorded.position)))
        for key in holds - held.keys():
            held[key] = recorded.position
    return spans | {(*key, (taken, None)) for key, taken in held.items()}


def _events(log: Log, until: int) -> Iterator[tuple[UUID, RecordedEvent | EventUnreadable]]:
    """Events of streams that may hold something, stream by stream."""
    where = SQL(
        "(originator_id, originator_version) > (%s, %s) AND notification_id <= %s "
        "AND split_part(topic, '.', 1) = ANY(%s) "
        "ORDER BY originator_id, originator_version LIMIT %s"
    )
    after: tuple[Any, int] = ("00000000-0000-0000-0000-000000000000", -1)
    while True:
        with log.cursor() as cursor:
            values = (*after, until, list(HOLDERS), PAGE_ROWS)
            rows = log.envelopes.select_envelopes(cursor, where, values)
            try:
                opened: list[RecordedEvent | EventUnreadable] = [*log.open_rows(cursor, rows)]
            except Exception:  # noqa: BLE001 - bytes of any kind fail in any way: one by one
                opened = [_opened(log, cursor, row) for row in rows]
        for row, event in zip(rows, opened, strict=True):
            yield row.originator_id, event  # type: ignore[misc]
        if len(rows) < PAGE_ROWS:
            return
        after = rows[-1].originator_id, rows[-1].originator_version


def _opened(
    log: Log, cursor: Cursor[DictRow], row: StoredEnvelope
) -> RecordedEvent | EventUnreadable:
    try:
        return log.open_rows(cursor, [row])[0]
    except Exception as error:  # noqa: BLE001 - see above
        return EventUnreadable(row.position or 0, row.topic, reason(error))


def _by_stream(log: Log, until: int) -> Iterator[tuple[UUID, Spans]]:
    """Rows of the table as they were at a position, in the order of stream ids."""
    after: Any = "00000000-0000-0000-0000-000000000000"
    while True:
        with log.cursor() as cursor:
            cursor.execute(
                "SELECT stream_id, kind, hash, taken_position, CASE WHEN freed_position <= %s "
                "THEN freed_position END AS freed FROM reservation WHERE taken_position <= %s "
                "AND stream_id IN (SELECT DISTINCT stream_id FROM reservation "
                "WHERE stream_id > %s AND taken_position <= %s ORDER BY stream_id LIMIT %s) "
                "ORDER BY stream_id",
                (until, until, after, until, PAGE_ROWS),
            )
            rows = cursor.fetchall()
        if not rows:
            return
        grouped: dict[UUID, Spans] = defaultdict(set)
        for row in rows:
            grouped[row["stream_id"]].add(
                (row["kind"], bytes(row["hash"]), (row["taken_position"], row["freed"]))
            )
        yield from grouped.items()
        after = rows[-1]["stream_id"]


def _order(held: tuple[str, bytes, Span]) -> tuple[str, bytes, int]:
    return held[0], held[1], held[2][0]


def _span(span: Span | None) -> str:
    if span is None:
        return "it is not held"
    return f"held since {span[0]}" + (f" until {span[1]}" if span[1] is not None else "")
