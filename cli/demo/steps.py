"""A step of a story: who did what, when it happened, and when it was written down."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

if TYPE_CHECKING:
    from commands.base import Command

SEED = UUID("7d1f5a1e-9c1c-5f0e-8f5b-2f6a9f0a6b11")


def made(*name: object) -> UUID:
    """The id of a made-up thing: the same name gives the same id."""
    return uuid5(SEED, "|".join(map(str, name)))


def dice(*name: object) -> random.Random:
    """Chance of its own for each story, so that one does not change with another."""
    return random.Random("|".join(map(str, name)))  # noqa: S311 - a story, not a secret


@dataclass(frozen=True, slots=True)
class Step:
    """A command on a stream. `logged` is when it was written down; later for some calls."""

    at: datetime
    logged: datetime
    stream: UUID
    command: Command[Any]
    actor: UUID
    command_id: UUID


def step(
    at: datetime,
    stream: UUID,
    command: Command[Any],
    actor: UUID,
    *,
    late: timedelta = timedelta(0),
    command_id: UUID | None = None,
) -> Step:
    """A step whose id follows from what it says."""
    return Step(
        at,
        at + late,
        stream,
        command,
        actor,
        command_id or made(stream, type(command).__name__, at.isoformat(), repr(command)),
    )


def office(moment: datetime, chance: random.Random) -> datetime:
    """The same day or the next working day, between 8 and 18 o'clock."""
    while moment.weekday() > 4:
        moment += timedelta(days=1)
    return moment.replace(
        hour=chance.randint(8, 17), minute=chance.randint(0, 59), second=chance.randint(0, 59)
    )


def after(moment: datetime, days: float, chance: random.Random) -> datetime:
    """Some working time later: never earlier than an hour after `moment`."""
    later = office(moment + timedelta(days=max(days, 0.05)), chance)
    return max(later, moment + timedelta(hours=1))
