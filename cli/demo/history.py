"""The whole history, in the order it was written down, and how it is told to the log."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cli.demo.company import DAYS, campaign, campaign_story, founding, planned, weeks
from cli.demo.steps import Step, dice, made, office
from cli.demo.stories import lead_story
from commands.base import handle
from eventstore.writer import Context

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from eventstore.promise import Promise
    from eventstore.writer import Writer

LEADS = 1_850
CAMPAIGNS = 13
IN_FLIGHT_MAX = 500


def history(end: datetime) -> list[Step]:
    """Two years of a small company up to `end`, in the order they were written down.

    The same `end` gives the same steps; another shifts them in time.
    """
    start = end - timedelta(days=DAYS)
    chance = dice("captures")
    # More leads come as the company grows.
    captures = [
        (office(start + timedelta(days=1 + (DAYS - 2) * chance.random() ** 0.75), chance), number)
        for number in range(LEADS)
    ]
    leads: list[tuple[datetime, UUID]] = [(at, made("lead", number)) for at, number in captures]
    told = [*founding(start), *weeks(start)]
    campaigns = [
        (planned(number, start, dice("campaign", number)), campaign(number))
        for number in range(CAMPAIGNS)
    ]
    for at, number in captures:
        told += lead_story(number, at, [one for since, one in campaigns if since < at])
    for number in range(CAMPAIGNS):
        told += campaign_story(number, start, leads)
    told = [one for one in told if one.logged < end]
    return sorted(told, key=lambda one: (one.logged, one.at))


def tell(steps: list[Step], writer: Writer, progress: Callable[[int], None]) -> int:
    """Issue the steps as commands, many in flight, each stream in order; returns events told.

    Safe to interrupt and to repeat: a step that is in the log already is not told again. A step
    the business refuses is an error of the story, and is raised.
    """
    waiting: deque[Promise] = deque()
    events = 0
    for one in steps:
        context = Context(
            actor=one.actor,
            correlation_id=one.command_id,
            occurred_at=one.at,
            command_id=one.command_id,
            once=True,
        )
        waiting.append(handle(writer, one.command, one.stream, context))
        if len(waiting) >= IN_FLIGHT_MAX:
            events += waiting.popleft().result().events
            progress(1)
    while waiting:
        events += waiting.popleft().result().events
        progress(1)
    return events
