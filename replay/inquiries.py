"""The questions of an auditor: each declared once, with a door and a verb of the same name.

What they take is text, as people write it: ids or their first digits, times, positions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from replay.base import Bounds, bounds, find_stream, moment
from replay.diff import Diff
from replay.diff import diff as compared
from replay.done import Caused, CauseUnknown, Done
from replay.done import caused as came_of
from replay.done import done as did
from replay.hindsight import Hindsight
from replay.hindsight import hindsight as in_hindsight
from replay.history import History
from replay.history import history as told_of
from replay.people import find_user
from replay.readings import Readings, readings
from replay.retention import Due
from replay.retention import due as due_at
from replay.seen import Seen
from replay.seen import seen as scores_of
from replay.why import Why
from replay.why import why as explained

if TYPE_CHECKING:
    from eventstore.log import Log

LIMIT_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Given:
    """A parameter of a question: what it means, and how a verb calls its option."""

    help: str
    option: str = ""
    metavar: str = ""


Record = Annotated[str, Given("Id of the record, or its first digits.", metavar="RECORD")]
AnyRecord = Annotated[str | None, Given("Id of one record, or its first digits.", "--of", "RECORD")]
User = Annotated[str, Given("Id, e-mail address or handle of the user.", metavar="USER")]
AnyUser = Annotated[str | None, Given("Id, e-mail address or handle of one user.", "--by", "USER")]
Cause = Annotated[
    str, Given("Id of an import run, a request (correlation) or an event.", metavar="CAUSE")
]
Field = Annotated[str, Given("A field, such as status, amount or custom.visits.", metavar="FIELD")]
At = Annotated[str, Given("The moment; a bare date is the end of that day.", metavar="T")]
AsOf = Annotated[
    str | None,
    Given("Only what had happened by then; a bare date is the end of that day.", "--as-of", "T"),
]
KnownAt = Annotated[
    str | None,
    Given("Only what the log knew by then: a time, or a position in it.", "--known-at", "T|N"),
]
Since = Annotated[str | None, Given("Only what came after it: a time.", "--from", "T")]
Until = Annotated[str | None, Given("Only what came up to it: a time.", "--to", "T")]
Limit = Annotated[int, Given("So many at most.", "--limit", "N")]


@dataclass(frozen=True, slots=True)
class Asking:
    """Of which log, and whose days bare dates are."""

    log: Log
    zone: tzinfo = UTC
    finding: Log | None = None
    """By which users are found; the log itself, unless personal values are hidden in it."""

    def record(self, text: str) -> UUID:
        """The record that is meant."""
        return find_stream(self.log, text)

    def user(self, text: str) -> UUID:
        """The user who is meant; a whole id also where no user was registered under it."""
        try:
            return UUID(text)
        except ValueError:
            pass
        return find_user(self.finding or self.log, text)

    def bounds(self, as_of: str | None, known_at: str | None = None) -> Bounds:
        """The bounds that are meant."""
        return bounds(self.log, as_of, known_at, self.zone)

    def time(self, text: str | None) -> datetime | None:
        """The time that is meant."""
        return moment(text, self.zone) if text else None


Ask = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A question: what answers it, and how it is typed."""

    ask: Ask
    examples: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of the door and of the verb."""
        return self.ask.__name__


def history(
    ask: Asking, record: Record, *, as_of: AsOf = None, known_at: KnownAt = None
) -> History:
    """Tell what happened to a record, and what was true of it then."""
    return told_of(ask.log, ask.record(record), ask.bounds(as_of, known_at))


def diff(
    ask: Asking,
    record: Record,
    *,
    since: Since = None,
    until: Until = None,
    known_from: Annotated[
        str | None,
        Given(
            "What the log knew at the earlier moment; otherwise known_at.", "--known-from", "T|N"
        ),
    ] = None,
    known_at: KnownAt = None,
) -> Diff:
    """Show what changed about a record between two moments, and through what."""
    before = ask.bounds(since, known_from or known_at)
    if since is None and known_from is None:
        before = Bounds(known_at=0)
    return compared(ask.log, ask.record(record), before, ask.bounds(until, known_at))


def why(
    ask: Asking, record: Record, field: Field, *, as_of: AsOf = None, known_at: KnownAt = None
) -> Why:
    """Name the event that gave a field its value, who caused it, and because of what."""
    return explained(ask.log, ask.record(record), field, ask.bounds(as_of, known_at))


def done(
    ask: Asking, user: User, *, since: Since = None, until: Until = None, limit: Limit = 100
) -> Done:
    """Tell what a user did: how often what, and the last of it."""
    return did(ask.log, ask.user(user), ask.bounds(since), ask.bounds(until), limit)


def reads(
    ask: Asking,
    *,
    record: AnyRecord = None,
    user: AnyUser = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
) -> Readings:
    """Tell who read which personal fields of whom; those of a customer with its contacts and so on.

    The newest come first. Values are not kept; a question over whole tables says of nobody in
    particular, and is told with every record.
    """
    return readings(
        ask.log,
        ask.record(record) if record else None,
        ask.user(user) if user else None,
        since=ask.time(since),
        until=ask.time(until),
        limit=limit,
    )


def hindsight(ask: Asking, at: At, *, record: AnyRecord = None, limit: Limit = 100) -> Hindsight:
    """Hold what was known at a moment against what had happened by then, of one record or all."""
    of = ask.record(record) if record else None
    return in_hindsight(ask.log, moment(at, ask.zone), of, limit)


def seen(ask: Asking, record: Record, *, as_of: AsOf = None, known_at: KnownAt = None) -> Seen:
    """Tell which score was seen of a record, from which version of the model, and from what."""
    return scores_of(ask.log, ask.record(record), ask.bounds(as_of, known_at))


def caused(ask: Asking, cause: Cause, *, limit: Limit = 100) -> Caused:
    """Tell everything that an import, a request or an event led to, and what would undo it."""
    return came_of(ask.log, _id(cause), limit)


def due(
    ask: Asking,
    *,
    on: Annotated[
        str | None,
        Given("When; a bare date is the end of that day. Otherwise as of now.", "--on", "T"),
    ] = None,
    limit: Limit = 100,
) -> Due:
    """Tell what rules of retention would have forgotten at a moment, and what stays in spite."""
    return due_at(ask.log, ask.time(on), limit)


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise CauseUnknown(f"{text!r} is no id; give the whole of it") from None


INQUIRIES = (
    Inquiry(
        history,
        ("backstory history 0198a1b2", "backstory history 0198a1b2 --as-of 2024-03-01"),
    ),
    Inquiry(diff, ("backstory diff 0198a1b2 --from 2024-01-01 --to 2024-03-31",)),
    Inquiry(why, ("backstory why 0198a1b2 status",)),
    Inquiry(done, ("backstory done ann@example.com --from 2024-01-01 --to 2024-03-31",)),
    Inquiry(reads, ("backstory reads --of 0198a1b2 --by ann", "backstory reads --by ann --json")),
    Inquiry(
        hindsight,
        ("backstory hindsight 2024-03-31", "backstory hindsight 2024-03-31 --of 0198a1b2"),
    ),
    Inquiry(seen, ("backstory seen 0198a1b2 --as-of 2024-03-01T14:30",)),
    Inquiry(caused, ("backstory caused 0198a1b2-7c44-7d1e-9f20-5b8d6c3e1a90",)),
    Inquiry(due, ("backstory due", "backstory due --on 2027-01-01")),
)
"""All of them, in the order in which auditors ask."""
