"""What replay works on: the events of one stream that lie within bounds on both time axes.

*Effective time* of an event is the running maximum of `occurred_at` in its stream; so what is
visible at (as_of, known_at) is always the beginning of a stream.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from psycopg.sql import SQL

from domain import AGGREGATES, EVENTS
from domain.base import State
from eventstore.envelope import RecordedEvent
from eventstore.mapper import UnknownEventType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from eventstore.log import Log

PREFIX_DIGITS_MIN = 6
TRANSITIONAL = ("previous_", "from_", "to_")
"""Fields that tell of a change, not of what is true after it."""


def _fields(of: type[State[Any]]) -> tuple[str, ...]:
    """The fields of a state, but for those that only keep an event it came from."""
    events = {event.__name__ for event in EVENTS.values()} | {"None"}
    return tuple(
        field.name
        for field in fields(of)  # type: ignore[arg-type]
        if not {kind.strip() for kind in str(field.type).split("|")} <= events
    )


FIELDS = {of: _fields(of) for of in AGGREGATES}


class ReplayError(Exception):
    """What was asked of the past cannot be answered; the message says why."""


class StreamUnknown(ReplayError):
    """There is no such stream."""


class EventUnreadable(ReplayError):
    """An event in the log does not have the shape its type promises."""

    def __init__(self, position: int, type: str, reason: str) -> None:
        self.position, self.type, self.reason = position, type, reason
        super().__init__(f"the event at position {position} ({type}) cannot be read: {reason}")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far to look: what had happened by `as_of`, as far as the log knew it at `known_at`."""

    as_of: datetime | None = None
    known_at: int | None = None

    def show(self, effective_at: datetime, position: int) -> bool:
        """Whether an event lies within."""
        return (self.as_of is None or effective_at <= self.as_of) and (
            self.known_at is None or position <= self.known_at
        )


NO_BOUND = Bounds()

WITHIN = SQL("""originator_id = %(stream)s
    AND (%(known_at)s::bigint IS NULL OR notification_id <= %(known_at)s)
    AND (%(as_of)s::timestamptz IS NULL OR originator_version < coalesce(
        (SELECT min(originator_version) FROM {table}
         WHERE originator_id = %(stream)s AND occurred_at > %(as_of)s), 9223372036854775807))
    ORDER BY originator_version""")
"""Beyond the first event that happened later nothing of a stream is visible: see above."""


@dataclass(frozen=True, slots=True)
class Step:
    """One event of a stream, and what is true of the record after it."""

    recorded: RecordedEvent
    effective_at: datetime
    record: Mapping[str, Any]


def moment(text: str, zone: tzinfo = UTC) -> datetime:
    """A time as people write it: ISO 8601; a bare date is the end of that day in `zone`.

    >>> moment("2024-03-01").isoformat()
    '2024-03-01T23:59:59.999999+00:00'
    """
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text.strip()):
            next_day = datetime.combine(date.fromisoformat(text.strip()), time(), zone)
            found = next_day + timedelta(days=1, microseconds=-1)
        else:
            found = datetime.fromisoformat(text.strip())
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ReplayError(
            f"{text!r} is no time; write 2024-03-01, or 2024-03-01T14:30 with or without a zone"
        ) from None


def known(text: str, zone: tzinfo = UTC) -> int | datetime:
    """What `known_at` may be as people write it: a position in the log, or a time."""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text.strip()) else moment(text, zone)


class Dated(Protocol):
    """A log, or what was made of one."""

    def position_at(self, moment: datetime) -> int:
        """Position of the last event recorded at or before `moment`."""


def bounds(
    log: Dated, as_of: str | None = None, known_at: str | None = None, zone: tzinfo = UTC
) -> Bounds:
    """Bounds as people write them; `known_at` may be a position or a time."""
    until = moment(as_of, zone) if as_of else None
    if not known_at:
        return Bounds(until)
    found = known(known_at, zone)
    return Bounds(until, found if isinstance(found, int) else log.position_at(found))


def find_stream(log: Log, text: str) -> UUID:
    """The stream with this id, or the only one whose id begins so."""
    digits = text.strip().lower().replace("-", "")
    if not re.fullmatch(rf"[0-9a-f]{{{PREFIX_DIGITS_MIN},32}}", digits):
        raise StreamUnknown(
            f"{text!r} is no id of a record: give a UUID, or at least its first "
            f"{PREFIX_DIGITS_MIN} digits"
        )
    with log.cursor() as cursor:
        cursor.execute(
            SQL(
                "SELECT DISTINCT originator_id AS id FROM {} "
                "WHERE originator_id BETWEEN %s AND %s ORDER BY id LIMIT 3"
            ).format(log.table),
            (UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))),
        )
        found: list[UUID] = [row["id"] for row in cursor.fetchall()]
    if not found:
        raise StreamUnknown(f"there is no record {text}")
    if len(found) > 1:
        raise StreamUnknown(f"several ids begin with {text}: {', '.join(map(str, found))} …")
    return found[0]


def read_stream(log: Log, stream_id: UUID, within: Bounds = NO_BOUND) -> list[RecordedEvent]:
    """The events of a stream within bounds; one that cannot be read is named.

    What lies beyond is not opened: that is most of what reading costs.
    """
    try:
        with log.cursor() as cursor:
            log.forgotten.heed(cursor)
            asked = {"stream": stream_id, "as_of": within.as_of, "known_at": within.known_at}
            where = WITHIN.format(table=log.table)
            return log.open_rows(cursor, log.envelopes.select_envelopes(cursor, where, asked))
    except (ValueError, LookupError, TypeError, UnknownEventType) as error:
        unreadable = next(iter(unreadable_events(log, stream_id)), None)
        raise unreadable or error from None


def unreadable_events(log: Log, stream_id: UUID) -> Iterator[EventUnreadable]:
    """The events of a stream that cannot be read, tried one by one."""
    with log.cursor() as cursor:
        where = SQL("originator_id = %s ORDER BY originator_version")
        for row in log.envelopes.select_envelopes(cursor, where, (stream_id,)):
            try:
                log.open_rows(cursor, [row])
            except Exception as error:  # noqa: BLE001 - bytes of any kind fail in any way
                yield EventUnreadable(row.position or 0, row.topic, reason(error))


def reason(error: Exception) -> str:
    """An error in one line, without the values that caused it."""
    errors = getattr(error, "errors", None)
    if callable(errors):
        first = errors(include_input=False, include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


def steps(log: Log, stream_id: UUID, within: Bounds = NO_BOUND) -> list[Step]:
    """The events of a stream within bounds, each with the record as it was after it."""
    return list(replayed(read_stream(log, stream_id, within), log, within))


def state_at(log: Log, stream_id: UUID, within: Bounds = NO_BOUND) -> dict[str, Any]:
    """What is true of a record within bounds; empty when nothing had happened to it."""
    said: dict[str, Any] = {}
    state: State[Any] | None = None
    effective_at: datetime | None = None
    for recorded in read_stream(log, stream_id, within):
        effective_at = max(effective_at or recorded.occurred_at, recorded.occurred_at)
        if not within.show(effective_at, recorded.position):
            break
        state = (state or log.state_of(recorded.event)()).evolve(recorded.event)
        said |= dict(recorded.event)
    return record(said, state) if state else {}


def replayed(
    events: Sequence[RecordedEvent], log: Log, within: Bounds = NO_BOUND
) -> Iterator[Step]:
    """Fold the events of one stream, a step at a time."""
    if not events:
        return
    state = log.state_of(events[0].event)()
    effective_at = events[0].occurred_at
    said: dict[str, Any] = {}
    for recorded in events:
        effective_at = max(effective_at, recorded.occurred_at)
        if not within.show(effective_at, recorded.position):
            return
        state = state.evolve(recorded.event)
        said |= dict(recorded.event)
        yield Step(recorded, effective_at, record(said, state))


def record(said: Mapping[str, Any], state: State[Any]) -> dict[str, Any]:
    """What is true of a record: what its events said last, and above all what its state says.

    Custom fields and the like are taken apart: `custom.total_visits`.
    """
    held = {name: getattr(state, name) for name in FIELDS[type(state)]}
    flat: dict[str, Any] = {}
    for name, value in (dict(said) | held).items():
        if name not in held and (name.startswith(TRANSITIONAL) or hasattr(state, name)):
            continue
        if isinstance(value, dict):
            top = "custom" if name == "custom_personal" else name
            flat |= {f"{top}.{key}": inner for key, inner in value.items()}
        else:
            flat[name] = value
    return flat
