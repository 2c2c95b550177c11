"""given / when / then: how a test tells a story about the business.

    given(CAPTURED).when(QualifyLead(**BANT)).then(QUALIFIED)
    given(CAPTURED, QUALIFIED).when(QualifyLead(**OTHER)).refused(LeadNotOpen, status="qualified")
    given(CAPTURED, QUALIFIED).when(QualifyLead(**BANT)).nothing()
    given(OPENED).and_on(PIPELINE, DEFINED).when(WinDeal()).then(WON)

`then`, `refused` and `nothing` answer with the history as it now is, so a story can go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import ndiff
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from uuid import UUID, uuid5

import pytest

from commands.base import Command, On
from domain import AGGREGATES
from domain.base import Event, Refusal, State, aggregate_of, fold
from eventstore.batch import WrongAggregate
from eventstore.naming import Naming, named_by
from eventstore.reservations import AlreadyHeld

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

E = TypeVar("E", bound=Event)
R = TypeVar("R", bound=State[Any])

STATES = {aggregate_of(of): of for of in AGGREGATES}

HERE = UUID("00000000-0000-4000-8000-00000000aaaa")
"""The stream of the events given first, which is the one the command is sent to."""

ACTOR = UUID("00000000-0000-4000-8000-0000000000ac")
"""The user who asks, unless a test says otherwise."""


def given(*events: Event) -> History:
    """The stream the command will be sent to has these events; none: it does not exist yet."""
    return History({HERE: events})


def but(event: E, **changes: Any) -> E:
    """The same event, only with some fields otherwise."""
    return type(event)(**dict(event) | changes)


def new_id(purpose: str) -> UUID:
    """The id a decision gets when it asks the world for a new one."""
    return uuid5(HERE, purpose)


@dataclass(frozen=True)
class History:
    """What happened so far, by stream: an in-memory world to decide in."""

    events: Mapping[UUID, tuple[Event, ...]]
    id: UUID = HERE
    actor: UUID = ACTOR

    def and_on(self, stream_id: UUID, *events: Event) -> History:
        """Another stream has these events."""
        return self.after(On(stream_id, event) for event in events)

    def when(self, command: Command[Any], *, by: UUID = ACTOR) -> Decision:
        """What the business answers to `command`."""
        world = History(self.events, self.id, by)
        try:
            decided = tuple(command.decided(world, world.load(command.of, self.id)))
            world.after(decided)
        except Refusal as refusal:
            return Decision(world, command, (), refusal)
        return Decision(world, command, decided)

    @property
    def begun(self) -> bool:
        """Whether that stream has events."""
        return bool(self.events.get(self.id))

    def load(self, of: type[R], stream_id: UUID) -> R:
        """The state of a stream; blank when it has no events."""
        events = self.events.get(stream_id, ())
        if events and (found := _state_of(events[0])) is not of:
            raise WrongAggregate(id=stream_id, found=aggregate_of(found), wanted=aggregate_of(of))
        return fold(of(), events)

    def holder(self, kind: str, value: str) -> UUID | None:
        """The stream that holds a reservation."""
        return self.holders.get((kind, value))

    def naming(self, ids: frozenset[UUID]) -> Iterable[Naming]:
        """The events that name one of these records."""
        for stream_id, events in self.events.items():
            for event in events:
                if ids & set((named := named_by(event)).values()):
                    yield Naming(_state_of(event), stream_id, named)

    def new_id(self, purpose: str) -> UUID:
        """The same id for the same purpose, in every test."""
        return new_id(purpose)

    @cached_property
    def holders(self) -> dict[tuple[str, str], UUID]:
        """Every reservation and the stream that holds it; a second holder is refused."""
        holders: dict[tuple[str, str], UUID] = {}
        for stream_id, events in self.events.items():
            if events:
                for held in self.load(_state_of(events[0]), stream_id).holds():
                    if holders.setdefault(held, stream_id) != stream_id:
                        raise AlreadyHeld(kind=held[0])
        return holders

    def after(self, decided: Iterable[Event | On]) -> History:
        """What happened so far, and then this."""
        streams = dict(self.events)
        for item in decided:
            on = item if isinstance(item, On) else On(self.id, item)
            streams[on.stream_id] = (*streams.get(on.stream_id, ()), on.event)
        after = History(streams, self.id, self.actor)
        _ = after.holders  # refuses a second holder, as the append would
        return after

    def __str__(self) -> str:
        return (
            "\n      ".join(
                f"{_name(self, stream_id)}: {', '.join(type(event).__name__ for event in events)}"
                for stream_id, events in self.events.items()
                if events
            )
            or "no events"
        )


@dataclass(frozen=True)
class Decision:
    """The answer to a command: events, none, or a refusal."""

    history: History
    command: Command[Any]
    events: tuple[Event | On, ...]
    refusal: Refusal | None = None

    def then(self, *expected: Event | On) -> History:
        """Exactly these events follow."""
        __tracebackhide__ = True
        if self.refusal is not None or self.events != expected:
            self._fail(_lines(expected))
        return self.history.after(self.events)

    def nothing(self) -> History:
        """The wish is already true: no event, and no refusal."""
        __tracebackhide__ = True
        return self.then()

    def refused(self, why: type[Refusal], **details: Any) -> History:
        """The business says no, for this reason, with at least these details."""
        __tracebackhide__ = True
        said = self.refusal
        if type(said) is not why or not details.items() <= said.details.items():
            self._fail([f"refused: {why.__name__}", *_fields(details)])
        return self.history

    def _fail(self, expected: list[str]) -> NoReturn:
        __tracebackhide__ = True
        said = self.refusal
        got = (
            _lines(self.events)
            if said is None
            else [f"refused: {type(said).__name__}", *_fields(said.details), f"  “{said}”"]
        )
        difference = (line for line in ndiff(expected, got) if not line.startswith("?"))
        pytest.fail(
            f"given {self.history}\nwhen  {self.command!r}\nthen  (- expected, + got)\n"
            + "\n".join(difference),
            pytrace=False,
        )


def _state_of(event: Event) -> type[State[Any]]:
    """The state an event belongs to: stored types begin with the name of the aggregate."""
    return STATES[event.type.split(".", maxsplit=1)[0]]


def _lines(events: Iterable[Event | On]) -> list[str]:
    lines: list[str] = []
    for item in events:
        event, place = (item.event, f" on {item.stream_id}") if isinstance(item, On) else (item, "")
        lines += [f"{type(event).__name__}{place}", *_fields(dict(event))]
    return lines or ["nothing"]


def _fields(values: Mapping[str, Any]) -> list[str]:
    return [f"  {name}={value!r}" for name, value in values.items()]


def _name(history: History, stream_id: UUID) -> str:
    return "here" if stream_id == history.id else str(stream_id)
