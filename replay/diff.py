"""Diff: what became different about one record between two moments, and through what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replay.base import Bounds, ReplayError, StreamUnknown, read_stream, replayed
from replay.history import Change, Happening, aggregate, changes, happenings
from replay.people import People

if TYPE_CHECKING:
    from uuid import UUID

    from eventstore.log import Log


@dataclass(frozen=True, slots=True)
class Diff:
    """What is different about a record at `until`, compared with `since`."""

    stream_id: UUID
    aggregate: str
    since: Bounds
    until: Bounds
    changes: tuple[Change, ...]
    happenings: tuple[Happening, ...]


class BackwardsDiff(ReplayError):
    """The earlier moment shows more of the record than the later one."""


def diff(log: Log, stream_id: UUID, since: Bounds, until: Bounds) -> Diff:
    """Compare a record at two moments, on either axis."""
    events = read_stream(log, stream_id)
    if not events:
        raise StreamUnknown(f"there is no record {stream_id}")
    before = list(replayed(events, log, since))
    after = list(replayed(events, log, until))
    if len(before) > len(after):
        raise BackwardsDiff("the first moment shows more of the record than the second: swap them")
    old = before[-1].record if before else {}
    new = after[-1].record if after else {}
    return Diff(
        stream_id,
        aggregate(events[0]),
        since,
        until,
        changes(old, new),
        happenings(after[len(before) :], People(log), old),
    )
