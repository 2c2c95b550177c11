"""How an event becomes the row of the command that leads to it again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_type_hints
from uuid import UUID

from pydantic_core import to_jsonable_python

from domain.base import HIDDEN
from domain.custom_fields import CustomFieldsDeclared, CustomFieldsRetired
from domain.customer import CustomerPreferencesSet, CustomerRetracted
from domain.user import (
    MODELS,
    SYSTEM,
    User,
    UserDeactivated,
    UserReactivated,
    UserRegistered,
)
from imports.again import AGAIN, CUSTOM, KINDS, MADE, kind_of
from imports.source import kind_of as read_as
from imports.spill import Spill, key_of
from imports.written import nullable, takes_nothing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventstore.envelope import RecordedEvent
    from eventstore.log import Log
    from imports.again import Verb, Wish
    from imports.values import Kind

FIXED: Mapping[str, Kind | None] = {
    "number": "integer",
    "event": "text",
    "at": "moment",
    "actor": "text",
    "id": "text",
    "command": "text",
}
"""What every row says: its place, the event, when it happened, who asked, of which record, what."""

ALWAYS_THERE = (SYSTEM, MODELS)


class NotExported(Exception):
    """Why a row cannot be."""


@dataclass
class Past:
    """What the log has said so far, as far as rows depend on it."""

    made: Spill = field(default_factory=Spill)
    """Records that were exported, with the number of their kind."""
    over: Spill = field(default_factory=Spill)
    """Streams whose other events happened later than asked for."""
    users: dict[UUID, bool] = field(default_factory=dict)
    """Whether they are active."""
    retired: dict[str, set[str]] = field(default_factory=dict)
    """Custom fields that take no values, by kind of record."""

    def hear(self, recorded: RecordedEvent) -> None:
        """One more event."""
        match recorded.event:
            case UserRegistered() | UserReactivated():
                self.users[recorded.stream_id] = True
            case UserDeactivated():
                self.users[recorded.stream_id] = False
            case CustomFieldsDeclared(aggregate=of, name=name):
                self.retired.setdefault(of, set()).discard(name)
            case CustomFieldsRetired(aggregate=of, name=name):
                self.retired.setdefault(of, set()).add(name)

    def kind(self, id_: UUID) -> str | None:
        """The kind of a record that was exported."""
        number = self.made.number(key_of(id_))
        return None if number is None else KINDS[number]


class Asking:
    """Fills in commands from events, as far as what they name is exported."""

    def __init__(self, log: Log, *, personal: bool) -> None:
        self.log, self.past = log, Past()
        self.lacking: list[str] = []
        """What the fields filled in last go without."""
        self.columns = {kind: columns_of_kind(kind, personal=personal) for kind in KINDS}

    def fields(self, recorded: RecordedEvent, wish: Wish, verb: Verb) -> dict[str, Any]:
        """The fields of the command, as cells; raises `NotExported` if it cannot be asked."""
        values: dict[str, Any] = {}
        self.lacking = []
        for name, source in wish.fed.items():
            if name in self.columns[kind_of(verb)]:
                values[name] = cell(self._value(recorded, wish, verb, name))
            elif nullable(verb, name) and verb.model_fields[name].is_required():
                raise NotExported(f"{source} is personal")
        if wish.either and not any(values[name] for name in wish.either):
            raise NotExported("nothing that it is about is exported")
        return values

    def _value(self, recorded: RecordedEvent, wish: Wish, verb: Verb, name: str) -> Any:
        """The value of a field of the command; raises `NotExported` if it has to have one."""
        event = recorded.event
        if name == CUSTOM:
            return self._custom(event, verb)
        value = getattr(event, wish.fed[name])
        if value is HIDDEN:
            return self._stand_in(recorded, verb, name)
        if isinstance(event, CustomerPreferencesSet):
            return self._preferences(recorded, event.preferences)
        if name == MADE:
            return tuple(id_ for id_ in value if self.past.kind(id_))
        if value is None and not nullable(verb, name):
            raise NotExported(f"no command takes {name} away")
        if not isinstance(value, UUID) or self._there(verb, name, value, recorded):
            return value
        return self._without(wish, verb, name, value)

    def _without(self, wish: Wish, verb: Verb, name: str, id_: UUID) -> UUID | None:
        """What stands for a record that is not exported; raises `NotExported` if nothing can."""
        if name not in wish.needs and nullable(verb, name):
            self.lacking.append(f"it goes without {name} {id_}, which is not exported")
            return None
        if verb.referring.get(name) is not User:
            raise NotExported(f"{name} {id_} is not exported")
        self.lacking.append(f"{name} {id_} is not exported: the system stands for the user")
        return SYSTEM

    def _there(self, verb: Verb, name: str, id_: UUID, recorded: RecordedEvent) -> bool:
        """Whether a record that is named was exported; a user has to be active."""
        if verb.referring.get(name) is not User:
            return self.past.kind(id_) is not None
        if name == "manager_id" or id_ in self.past.users:
            return self.past.users.get(id_, False)
        return id_ in {recorded.actor, *ALWAYS_THERE}

    def _custom(self, event: Any, verb: Verb) -> dict[str, Any]:
        """All custom fields that a command may set."""
        personal = {} if event.custom_personal is HIDDEN else event.custom_personal
        retired = set() if verb.creates else self.past.retired.get(kind_of(verb), set())
        return {n: v for n, v in (event.custom | personal).items() if n not in retired}

    def _preferences(self, recorded: RecordedEvent, now: dict[str, str]) -> dict[str, Any]:
        """The preferences as they are now, and null for those that are no more."""
        before: dict[str, str] = {}
        for one in self.log.read_stream(recorded.stream_id)[: recorded.version - 1]:
            match one.event:
                case CustomerPreferencesSet(preferences=preferences):
                    before = preferences
                case CustomerRetracted():
                    before = {}
        return now | dict.fromkeys(before.keys() - now.keys())

    def _stand_in(self, recorded: RecordedEvent, verb: Verb, name: str) -> Any:
        """What stands for a value whose key is gone: nothing, if that will do."""
        if nullable(verb, name):
            return None
        if takes_nothing(verb, name):
            return ""
        if kind_of(verb) == "user":
            return str(recorded.stream_id)
        raise NotExported(f"{name} can no longer be read")


def columns_of_kind(kind: str, *, personal: bool) -> dict[str, Kind | None]:
    """The columns of the file of a kind of record, with how their cells are read."""
    columns: dict[str, Kind | None] = dict(FIXED)
    for event, wish in AGAIN.items():
        verb = wish.verb(kind)
        if verb is None:
            continue
        hints = get_type_hints(verb, include_extras=True)
        for name, source in wish.fed.items():
            if personal or source not in event.personal_fields():
                columns[name] = read_as(hints[name]) or "text"
    return columns


def cell(value: Any) -> Any:
    """A value as files hold it: ids are text, several values are JSON, and none is nothing."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, dict | tuple):
        plain = to_jsonable_python(value)
        return json.dumps(plain, ensure_ascii=False) if value else None
    return value
