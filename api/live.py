"""`/live`: a WebSocket that tells every event as it comes, with the rows that changed by it."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple
from uuid import UUID

import orjson
from anyio import to_thread
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from api.answers import reached
from api.auth import Identity
from api.events import Position, StoredType, pages, told
from api.problems import KeyMissing, KeyUnknown, PositionNotReached, Problem, described
from api.reads import in_events, in_rows, noted
from projections import DIMENSIONS, FACTS
from projections.base import Dimension, FactTable
from readmodels.query import Moment, Query, changes, page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from api.node import Node
    from eventstore.envelope import RecordedEvent

KEY_SECONDS = 10.0
"""How long a client that sends no header may take to say who it is."""

TRUSTED_SECONDS = 60.0
TABLES_SECONDS = 30.0
SEND_SECONDS = 60.0
ROWS_MAX = 100_000
POLICY, GOING_AWAY, TRY_AGAIN_LATER = 1008, 1001, 1013
BEARER = "Bearer "

router = APIRouter()


class Changes(NamedTuple):
    """A table, the types of the events that change it, and how to ask what they changed."""

    table: str
    events: frozenset[str]
    query: Query


def _changes(declared: Dimension | FactTable) -> Changes:
    plain, *personal = [shape.table for shape in declared.shapes]
    return Changes(plain.name, frozenset(plain.events), changes(plain, *personal))


CHANGES = (*map(_changes, DIMENSIONS), *map(_changes, FACTS))


def _a_table(name: str) -> str:
    known = sorted(change.table for change in CHANGES)
    if name not in known:
        raise ValueError(f"no such table; there are {', '.join(known)}")
    return name


class Wanted(BaseModel):
    """What a client wants to be told; without `after` what comes from now on."""

    model_config = ConfigDict(extra="forbid")

    after: Position | None = None
    stream: UUID | None = None
    type: list[StoredType] = []
    actor: UUID | None = None
    table: list[Annotated[str, AfterValidator(_a_table)]] | None = None
    """Whose rows; all when it is not given."""
    rows: bool = True

    @property
    def chosen(self) -> dict[str, Any]:
        """The events, as the log is asked for them."""
        return {"stream": self.stream, "types": tuple(self.type), "actor": self.actor}

    def changed(self, events: Sequence[RecordedEvent]) -> list[Changes]:
        """The tables to be told that some of these events change."""
        types = {one.event.type for one in events}
        return [
            change
            for change in CHANGES
            if self.rows
            and types & change.events
            and change.table in (self.table or [change.table])
        ]


@router.websocket("/live")
async def live(socket: WebSocket) -> None:
    """Tell events and rows until the client leaves, falls silent, or the server ends."""
    await socket.accept()
    try:
        token = await _token(socket)
        await _identified(socket, token)
        wanted = _wanted(socket)
    except (Problem, RequestValidationError) as error:
        await _refuse(socket, POLICY, error)
        return
    except WebSocketDisconnect:
        return
    telling = asyncio.create_task(_tell(socket, wanted, token))
    leaving = asyncio.create_task(_left(socket))
    await asyncio.wait({telling, leaving}, return_when=asyncio.FIRST_COMPLETED)
    leaving.cancel()
    if not telling.done():
        telling.cancel()
    with suppress(asyncio.CancelledError, WebSocketDisconnect):
        await telling


async def _tell(socket: WebSocket, wanted: Wanted, token: str) -> None:
    node: Node = socket.app.state.node
    head = await to_thread.run_sync(node.workspace.log.last_position)
    begin = head if wanted.after is None else wanted.after
    try:
        await _send(socket, {"position": begin})  # so a client knows what it will be told
        async with aclosing(pages(node, (begin, head), None, wanted.chosen, follow=True)) as found:
            await _tell_pages(socket, wanted, token, found)
    except PositionNotReached as error:
        await _refuse(socket, TRY_AGAIN_LATER, error)
    except Problem as error:
        await _refuse(socket, POLICY, error)
    except TimeoutError:
        await socket.close(POLICY, f"Nothing was read for {SEND_SECONDS:.0f} s.")
    else:
        await socket.close(GOING_AWAY, "The server ends; go on with `after`.")


async def _tell_pages(
    socket: WebSocket,
    wanted: Wanted,
    token: str,
    found: AsyncIterator[tuple[int, list[RecordedEvent]]],
) -> None:
    caller, until = await _identified(socket, token), time.monotonic() + TRUSTED_SECONDS
    async for position, events in found:
        if time.monotonic() > until:  # a key that was revoked opens nothing any more
            caller = await _identified(socket, token)
            until = time.monotonic() + TRUSTED_SECONDS
        rows = await _rows(socket, wanted, events, personal=caller.personal)
        if caller.personal:
            await noted(socket, caller, *_seen(events, rows))
        for one in events:
            event = told(one, personal=caller.personal)
            message = {"position": one.position, "event": event}
            await _send(socket, message | ({"rows": rows[one.position]} if wanted.rows else {}))
        if not events:
            await _send(socket, {"position": position})


async def _rows(
    socket: WebSocket, wanted: Wanted, events: Sequence[RecordedEvent], *, personal: bool
) -> dict[int, dict[str, list[dict[str, Any]]]]:
    """The rows that events changed, as they were just then, by position and table."""
    found: dict[int, dict[str, list[dict[str, Any]]]] = defaultdict(dict)
    tables = wanted.changed(events)
    if not tables:
        return found
    node: Node = socket.app.state.node
    first, last = events[0].position, events[-1].position
    await reached(node.follower, last, TABLES_SECONDS)

    def ask() -> None:
        between = {"after": first - 1, "until": last}
        with node.asking() as database:
            for change in tables:
                answer = page(
                    database,
                    change.query,
                    Moment(None, last),
                    between,
                    limit=ROWS_MAX,
                    personal=personal,
                )
                for row in answer.items:
                    found[row["position"]].setdefault(change.table, []).append(row)

    await to_thread.run_sync(ask, limiter=socket.app.state.readers)
    return found


def _seen(
    events: Sequence[RecordedEvent], rows: Mapping[int, Mapping[str, list[dict[str, Any]]]]
) -> tuple[list[UUID], list[str]]:
    """Of whom personal values are told, and which."""
    subjects, fields = in_events(events)
    for change in CHANGES:
        told = [row for tables in rows.values() for row in tables.get(change.table, ())]
        more_subjects, more_fields = in_rows(told, change.query.personal_columns)
        subjects += [UUID(str(id)) for id in more_subjects]
        fields += more_fields
    return subjects, fields


async def _send(socket: WebSocket, message: dict[str, Any]) -> None:
    """Send when the client has room for more; the log waits meanwhile, not the memory."""
    text = orjson.dumps(message, default=str, option=orjson.OPT_UTC_Z).decode()
    await asyncio.wait_for(socket.send_text(text), SEND_SECONDS)


async def _refuse(socket: WebSocket, code: int, error: Exception) -> None:
    """Tell a problem as any door does, and close."""
    _, members, _ = described(error)
    with suppress(WebSocketDisconnect):
        await socket.send_text(orjson.dumps({"problem": members}, default=str).decode())
        await socket.close(code, str(members["title"]))


def _wanted(socket: WebSocket) -> Wanted:
    given: dict[str, Any] = {}
    for name, value in socket.query_params.multi_items():
        if name in {"type", "table"}:
            given.setdefault(name, []).append(value)
        else:
            given[name] = [given[name], value] if name in given else value
    try:
        return Wanted.model_validate(given)
    except ValidationError as error:
        faults = [fault | {"loc": ("query", *fault["loc"])} for fault in error.errors()]
        raise RequestValidationError(faults) from None


async def _token(socket: WebSocket) -> str:
    """The API key: from the header or, where none can be sent, from the first message."""
    said = socket.headers.get("authorization", "")
    if not said:
        with suppress(TimeoutError, orjson.JSONDecodeError):
            message = orjson.loads(await asyncio.wait_for(socket.receive_text(), KEY_SECONDS))
            said = str(message.get("authorization", "")) if isinstance(message, dict) else ""
    if not said.startswith(BEARER):
        raise KeyMissing
    return said.removeprefix(BEARER)


async def _identified(socket: WebSocket, token: str) -> Identity:
    node: Node = socket.app.state.node
    identity = await to_thread.run_sync(node.api_keys.identify, token)
    if identity is None:
        raise KeyUnknown
    return identity


async def _left(socket: WebSocket) -> None:
    """Until the client is gone; whatever else it says has no meaning here."""
    with suppress(WebSocketDisconnect):
        while True:
            await socket.receive_text()
