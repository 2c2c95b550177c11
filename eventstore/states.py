"""Folded states kept by version, so that a command normally reads nothing."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from uuid import UUID

    from domain.base import State

KEPT_MAX = 50_000


class Held(NamedTuple):
    """The state of a stream at a version."""

    version: int
    state: State[Any]


BLANK: dict[type[Any], Held] = {}


def blank(of: type[State[Any]]) -> Held:
    """The state of a stream without events: the same one each time, for nobody changes a state."""
    return BLANK.get(of) or BLANK.setdefault(of, Held(0, of()))


class States:
    """The states used last. They may be stale: whoever takes one checks its version.

    Those put since the last `doubt` are the newest, if nobody else has written since then.
    """

    def __init__(self, kept_max: int = KEPT_MAX) -> None:
        self._kept: OrderedDict[UUID, Held] = OrderedDict()
        self._newest: dict[UUID, Held] = {}
        self._kept_max = kept_max

    def get(self, stream_id: UUID) -> Held | None:
        """The state last seen of a stream."""
        held = self._kept.get(stream_id)
        if held is not None:
            self._kept.move_to_end(stream_id)
        return held

    def newest(self, stream_id: UUID) -> Held | None:
        """The state of a stream, unless there is doubt about it."""
        return self._newest.get(stream_id)

    def doubt(self) -> None:
        """Somebody else has written: any state may be stale from now on."""
        self._newest.clear()

    def put(self, stream_id: UUID, held: Held) -> None:
        """Keep a committed state."""
        self._kept[stream_id] = self._newest[stream_id] = held
        self._kept.move_to_end(stream_id)
        if len(self._kept) > self._kept_max:
            dropped, _ = self._kept.popitem(last=False)
            self._newest.pop(dropped, None)

    def clear(self) -> None:
        """Forget all: the next commands read their streams."""
        self._kept.clear()
        self._newest.clear()
