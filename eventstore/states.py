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


class States:
    """The states used last. They may be stale: whoever takes one checks its version."""

    def __init__(self, kept_max: int = KEPT_MAX) -> None:
        self._kept: OrderedDict[UUID, Held] = OrderedDict()
        self._kept_max = kept_max

    def get(self, stream_id: UUID) -> Held | None:
        """The state last seen of a stream."""
        held = self._kept.get(stream_id)
        if held is not None:
            self._kept.move_to_end(stream_id)
        return held

    def put(self, stream_id: UUID, held: Held) -> None:
        """Keep a committed state."""
        self._kept[stream_id] = held
        self._kept.move_to_end(stream_id)
        if len(self._kept) > self._kept_max:
            self._kept.popitem(last=False)

    def clear(self) -> None:
        """Forget all: the next commands read their streams."""
        self._kept.clear()
