"""A row that comes back with other values: from what is true to what the row says now."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from commands.base import Command, On
from domain.base import HIDDEN, Event, Refusal, State
from eventstore.intent import Looks
from imports.source import settled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from commands.base import World
    from eventstore.envelope import RecordedEvent
    from imports.rows import Asked


@dataclass(frozen=True, slots=True)
class Change:
    """Several commands of one record as one decision: all of them, or none."""

    of: type[State[Any]]
    commands: tuple[Command[Any], ...]
    remedies: Mapping[str, Command[Any]]
    """What to ask first when the others are refused so, by the name of the refusal."""

    def looks(self) -> Looks:
        """What any of the commands will look at."""
        each = [command.looks() for command in (*self.commands, *self.remedies.values())]
        streams = chain.from_iterable(looks.streams for looks in each)
        return Looks(tuple(streams), tuple(chain.from_iterable(looks.claims for looks in each)))

    def decided(self, world: World, state: State[Any], /) -> Iterator[Event | On]:
        """Events of all commands, each decided on the state the ones before it lead to."""
        try:
            yield from list(in_turn(world, state, self.commands))
        except Refusal as refusal:
            remedy = self.remedies.get(type(refusal).__name__)
            if remedy is None:
                raise
            try:
                decided = list(in_turn(world, state, (remedy, *self.commands)))
            except Refusal:
                raise refusal from None
            yield from decided


def in_turn(
    world: World, state: State[Any], commands: Iterable[Command[Any]]
) -> Iterator[Event | On]:
    """What commands lead to, one after the other."""
    for command in commands:
        now = state
        for item in command.decided(world, now):
            event = item if isinstance(item, Event) else item.event
            if isinstance(item, Event) or item.stream_id == world.id:
                state = state.evolve(event)
            yield item


def fixed_differences(
    asked: Asked, created: RecordedEvent, changes: Sequence[Command[Any]]
) -> list[str]:
    """What a row says otherwise than when its record was made, and no command can change."""
    changeable = {name for command in changes for name in type(command).model_fields}
    was = dict(created.event)
    was["custom"] = was.get("custom", {}) | _visible(was.get("custom_personal"))
    command = asked.command()
    differences = [
        f"{name} cannot change from {_said(was[name])} to {_said(value)}"
        for name, value in command.fields().items()
        if name in command.model_fields_set
        and name in was
        and name not in changeable
        and was[name] != value
    ]
    return differences + _moved(asked, created)


def _moved(asked: Asked, created: RecordedEvent) -> list[str]:
    undated = settled(getattr(asked.ask.at, "default", None), "moment")
    if asked.ask.at is None or asked.at == undated or created.occurred_at in {asked.at, undated}:
        return []
    was_at, is_at = (f"{at:%Y-%m-%d %H:%M}" for at in (created.occurred_at, asked.at))
    return [f"it happened on {was_at}, which cannot become {is_at}"]


def _visible(personal: Any) -> dict[str, Any]:
    return {} if personal is None or personal is HIDDEN else personal


def _said(value: Any) -> str:
    return "nothing" if value is None else repr(str(value))
