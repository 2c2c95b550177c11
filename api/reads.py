"""Who is shown personal values is recorded before they are shown."""

from __future__ import annotations

import asyncio
import re
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from domain import EVENTS
from domain.base import HIDDEN
from eventstore.envelope import uuid7
from eventstore.reads import Read
from replay.history import Happening
from replay.tables import DECLARED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from uuid import UUID

    from starlette.requests import HTTPConnection

    from api.auth import Identity
    from api.node import Node
    from eventstore.envelope import RecordedEvent

REQUEST = "X-Request-Id"
"""The header that tells under which id a read was recorded."""

PERSONAL_TABLES = tuple(name for name, table in DECLARED.items() if table.personal)


async def noted(
    request: HTTPConnection, caller: Identity, subjects: Iterable[UUID], names: Iterable[str]
) -> dict[str, str]:
    """Wait until a read is recorded; headers that say under which id.

    Nothing is recorded where no personal field is shown. Without `subjects` it may be anybody's.
    """
    shown = tuple(sorted(set(names)))
    if not shown:
        return {}
    node: Node = request.app.state.node
    door = f"{request.scope.get('method', 'WebSocket')} {request.url.path}"
    read = Read(caller.actor, uuid7(), door, tuple(dict.fromkeys(subjects)), shown)
    await asyncio.wrap_future(node.reads.note(read))
    return {REQUEST: str(read.request_id)}


def in_rows(
    rows: Sequence[Mapping[str, Any]], personal: Iterable[str]
) -> tuple[list[Any], list[str]]:
    """Of whom rows hold personal values, and which."""
    names = [name for name in personal if any(row.get(name) is not None for row in rows)]
    return [row["id"] for row in rows if any(row.get(name) is not None for name in names)], names


def in_events(events: Iterable[RecordedEvent]) -> tuple[list[UUID], list[str]]:
    """Of whom events hold personal values, and which."""
    subjects, names = [], list[str]()
    for recorded in events:
        event = recorded.event
        values = {name: getattr(event, name) for name in event.personal_fields()}
        if said := [name for name, of in values.items() if of and of is not HIDDEN]:
            subjects.append(recorded.stream_id)
            names += said
    return subjects, names


def in_sql(text: str) -> list[str]:
    """Personal tables a question over whole tables may show, as far as its words tell."""
    words = set(re.findall(r"\w+", text.lower()))
    named = [name for name in PERSONAL_TABLES if any(word.startswith(name) for word in words)]
    built = "query" in text.lower() and "personal" not in text.lower()
    return named or (["*"] if built or "personal" in text.lower() else [])


def in_answer(answer: Any) -> tuple[list[UUID], list[str]]:
    """Of whom the events that an answer tells of hold personal values, and which."""
    subjects, names = [], list[str]()
    for told in _happenings(answer):
        if said := _shown(told):
            subjects.append(told.stream_id)
            names += said
    return subjects, names


def _happenings(answer: Any) -> Iterator[Happening]:
    if isinstance(answer, Happening):
        yield answer
    elif isinstance(answer, tuple):
        for one in answer:
            yield from _happenings(one)
    elif is_dataclass(answer):
        for one in fields(answer):
            yield from _happenings(getattr(answer, one.name))


def _shown(told: Happening) -> list[str]:
    event = EVENTS.get(told.type)
    names = event.personal_fields() if event else ()
    return [n for n in names if told.fields.get(n) and told.fields[n] is not HIDDEN]
