"""The clock: time as the log knows it. Nothing that follows the log looks at another one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never
from uuid import UUID

from domain.base import Event, Refusal, State, replace
from domain.values import Moment

if TYPE_CHECKING:
    from datetime import datetime

CLOCK = UUID("00000000-0000-5000-8000-0000000000c1")
"""The one stream of the clock."""


class ClockTicked(Event, type="clock.ticked.v1"):
    """A moment was reached."""

    moment: Moment


ClockEvent = ClockTicked


class ClockElsewhere(Refusal):
    """There is one clock, {clock}; no other stream ticks."""


class ClockBackwards(Refusal):
    """The clock stands at {moment} and only moves forward."""


@dataclass(frozen=True, slots=True)
class Clock(State[ClockEvent]):
    """The moment reached."""

    moment: datetime | None = None

    def evolve(self, event: ClockEvent, /) -> Clock:
        match event:
            case ClockTicked():
                return replace(self, moment=event.moment)
            case _:
                assert_never(event)
