"""The clock only moves forward, and there is one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from commands.clock import TickClock
from domain.clock import CLOCK, ClockBackwards, ClockElsewhere, ClockTicked
from tests.given import History, given

TEN = datetime(2026, 1, 31, 10, tzinfo=UTC)
ELEVEN = TEN + timedelta(hours=1)
STOPPED = History({}, id=CLOCK)


def test_the_clock_starts_with_its_first_tick():
    STOPPED.when(TickClock(moment=TEN)).then(ClockTicked(moment=TEN))


def test_the_clock_moves_forward():
    ticked = STOPPED.and_on(CLOCK, ClockTicked(moment=TEN))
    ticked.when(TickClock(moment=ELEVEN)).then(ClockTicked(moment=ELEVEN))


def test_a_moment_is_reached_once():
    STOPPED.and_on(CLOCK, ClockTicked(moment=TEN)).when(TickClock(moment=TEN)).nothing()


def test_the_clock_never_runs_backwards():
    ticked = STOPPED.and_on(CLOCK, ClockTicked(moment=ELEVEN))
    ticked.when(TickClock(moment=TEN)).refused(ClockBackwards, moment=ELEVEN)


def test_there_is_one_clock():
    given().when(TickClock(moment=TEN)).refused(ClockElsewhere, clock=CLOCK)


def test_a_moment_given_in_another_zone_is_the_same_moment():
    STOPPED.when(TickClock(moment="2026-01-31T11:00:00+01:00")).then(ClockTicked(moment=TEN))
