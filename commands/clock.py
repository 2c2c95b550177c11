"""What can be asked of the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.base import Command, World
from domain.clock import CLOCK, Clock, ClockBackwards, ClockElsewhere, ClockEvent, ClockTicked
from domain.values import Moment

if TYPE_CHECKING:
    from collections.abc import Iterator


class TickClock(Command[Clock], creates=True):
    """Say that a moment was reached."""

    moment: Moment

    example = {"moment": "2026-01-31T10:00:00Z"}

    def decide_in(self, world: World, clock: Clock, /) -> Iterator[ClockEvent]:
        if world.id != CLOCK:
            raise ClockElsewhere(clock=CLOCK)
        if clock.moment is None or clock.moment < self.moment:
            yield ClockTicked(moment=self.moment)
        elif clock.moment > self.moment:
            raise ClockBackwards(moment=clock.moment)
