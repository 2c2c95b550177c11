"""How a command gets a door (`accept`) and a query gets one (`answer`)."""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast
from uuid import UUID, uuid5

import orjson
import structlog
from fastapi import APIRouter, Body, Depends, Header, Query, Request, Response
from msgspec import Struct
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from api.auth import Caller, Identity
from api.body import Door, only_known_parameters
from api.handover import answered
from api.problems import problems
from commands.base import Command, handle
from domain.undo import Conflicts
from domain.values import Moment
from eventstore.envelope import uuid7, written
from eventstore.errors import OccurredInTheFuture
from eventstore.writer import Context, IdempotencyKey

if TYPE_CHECKING:
    from api.node import Node
    from eventstore.intent import Receipt
    from eventstore.keys import Keyring

C = TypeVar("C", bound=Command[Any])
Stream = Callable[[C], UUID]
Endpoint = Callable[..., Coroutine[Any, Any, Response]]

log = structlog.get_logger()

NEW_IDS = UUID("7b0a4f3e-6a0e-5a53-9a55-2f6f4f1d8c21")
"""Namespace of ids minted for streams that an idempotency key starts."""


class Reply(BaseModel):
    """What a command did."""

    id: UUID
    """The record it was about."""
    version: int
    """How many events the record has now; the ETag."""
    position: int
    """Where in the log: ask a query for `min_position` to read your own write."""
    conflicts: Conflicts | None = None
    """Of an undo: later changes that it left as they are. Otherwise it is not there."""


class Wish(Struct, frozen=True):
    """What comes with a command beside its body."""

    caller: Identity
    key: str | None
    expected_version: int | None
    command_id: UUID
    correlation_id: UUID
    causation_id: UUID | None
    occurred_at: datetime | None


Key = Annotated[
    str | None,
    Header(
        pattern=r"^[\x21-\x7e]{1,200}$",
        description="Asked again with the same key and body, the stored reply is given again.",
    ),
]
Version = Annotated[
    str | None,
    Header(
        pattern=r'^(W/)?"?[0-9]{1,18}"?$',
        description="The version (ETag) the record must be at; otherwise 412.",
    ),
]
Correlation = Annotated[
    UUID | None, Header(description="What this belongs to; when absent, nothing else.")
]
Causation = Annotated[UUID | None, Header(description="The event because of which this is asked.")]
Happened = Annotated[
    Moment | None, Query(description="When it happened, if not just now: a time with zone.")
]


async def wish(
    *,
    request: Request,
    caller: Caller,
    idempotency_key: Key = None,
    if_match: Version = None,
    correlation_id: Correlation = None,
    causation_id: Causation = None,
    occurred_at: Happened = None,
) -> Wish:
    """The headers and parameters every command takes."""
    only_known_parameters(request)
    now = datetime.now(UTC)
    if occurred_at is not None and occurred_at > now:
        raise OccurredInTheFuture(occurred_at, now)
    version = re.sub(r"\D", "", if_match) if if_match else None
    command_id = uuid7()
    return Wish(
        caller,
        idempotency_key,
        int(version) if version else None,
        command_id,
        correlation_id or command_id,
        causation_id,
        occurred_at,
    )


Wished = Annotated[Wish, Depends(wish)]


@dataclass(frozen=True, slots=True)
class Entrance:
    """Where a command is asked: the path of its route, and the home of records it may start."""

    command: type[Command[Any]]
    path: str
    home: str


class Doors(APIRouter):
    """A menu of doors. `entrances` are those to a stream named in the path, or to a new one."""

    def __init__(self, name: str) -> None:
        super().__init__(prefix=f"/{name}", tags=[name], route_class=Door)
        self.entrances: list[Entrance] = []


def doors(name: str) -> Doors:
    """A menu of doors under `/<name>`."""
    return Doors(name)


def accept(
    router: Doors,
    path: str,
    command: type[C],
    *,
    anew: str = "",
    stream: Stream[C] | None = None,
) -> None:
    """Open a door for a command: `POST <router>/{id}/<verb>`.

    A command that starts a stream gets a second one, `POST <router><anew>`, where the id is made
    here. With `stream`, a function of the command, there is no id to give at all.
    """
    here = Entrance(command, router.prefix + path, router.prefix if stream is None else "")
    afresh = Entrance(command, router.prefix + anew, router.prefix)

    async def to_one(*, request: Request, id: UUID, body: C, wish: Wished) -> Response:
        return await asked(request.app.state.node, here, id, body, wish)

    async def to_a_new_one(*, request: Request, body: C, wish: Wished) -> Response:
        node: Node = request.app.state.node
        return await asked(node, afresh, new_id(node.keys, afresh, wish), body, wish)

    async def to_the_one(*, request: Request, body: C, wish: Wished) -> Response:
        id = cast("Stream[C]", stream)(body)
        return await asked(request.app.state.node, here, id, body, wish)

    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", command.__name__).lower()
    if stream is not None:
        _open(router, path, command, to_the_one, name)
        return
    _open(router, path, command, to_one, name)
    router.entrances.append(here)
    if command.creates:
        _open(router, anew, command, to_a_new_one, f"{name}_anew")
        router.entrances.append(afresh)


def _open(
    router: APIRouter, path: str, command: type[Command[Any]], door: Endpoint, name: str
) -> None:
    door.__annotations__["body"] = Annotated[
        command, Body(openapi_examples={"example": {"value": command.example}})
    ]
    if not any(field.is_required() for field in command.model_fields.values()):
        door.__kwdefaults__ = {"body": command()}
    done: dict[int | str, dict[str, Any]] = {200: {"model": Reply}}
    if command.creates:
        done[201] = {"model": Reply, "description": "The record was started"}
    router.add_api_route(
        path,
        door,
        methods=["POST"],
        response_model=None,
        name=command.__name__,
        operation_id=name,
        summary=name.replace("_", " ").capitalize(),
        description=inspect.cleandoc(command.__doc__ or ""),
        responses=done | problems(400, 401, 409, 412, 413, 422, 503),
    )


def new_id(keys: Keyring, entrance: Entrance, wish: Wish) -> UUID:
    """The id of a stream to be started: the same again when the client asks again by its key."""
    if wish.key is None:
        return uuid7()
    scope = _scope(keys, wish.caller.actor, entrance.path)
    return uuid5(NEW_IDS, f"{scope.hex()} {named(keys, wish.key)}")


class Submission:
    """A command on its way from a door to the writer, and the reply to it on its way back."""

    __slots__ = ("answer", "began", "command", "entrance", "id", "wish")

    def __init__(
        self, node: Node, entrance: Entrance, id: UUID, command: Command[Any], wish: Wish
    ) -> None:
        self.began = time.perf_counter_ns()
        self.entrance, self.id, self.command, self.wish = entrance, id, command, wish
        context = Context(
            actor=wish.caller.actor,
            correlation_id=wish.correlation_id,
            causation_id=wish.causation_id,
            command_id=wish.command_id,
            occurred_at=wish.occurred_at,
            expected_version=wish.expected_version,
            key=_key(node, entrance, id, command, wish),
        )
        self.answer = handle(node.writer, command, id, context)
        """The receipt, after the commit."""

    def reply(self, receipt: Receipt) -> tuple[bytes, int, list[tuple[bytes, bytes]]]:
        """Body, status and headers."""
        self._say("accepted", position=receipt.position, events=receipt.events)
        headers = [(b"etag", b'"%d"' % receipt.version)]
        home = self.entrance.home
        started = bool(home and self.command.creates and receipt.events)
        if started:
            headers.append((b"location", f"{home}/{written(receipt.id)}".encode()))
        return orjson.dumps(told(receipt)), 201 if started else 200, headers

    def failed(self, error: BaseException) -> None:
        """Note why there is no receipt."""
        self._say(type(error).__name__)

    def _say(self, outcome: str, **more: int) -> None:
        """One line per command: who asked what of whom and what came of it; never the body."""
        log.info(
            "command",
            command=type(self.command).__name__,
            stream=self.id,
            actor=self.wish.caller.actor,
            correlation_id=self.wish.correlation_id,
            ms=(time.perf_counter_ns() - self.began) // 100_000 / 10,
            outcome=outcome,
            **more,
        )


def told(receipt: Receipt) -> dict[str, Any]:
    """What a command did, as it is told (`Reply`)."""
    reply = {"id": receipt.id, "version": receipt.version, "position": receipt.position}
    if receipt.conflicts is None:
        return reply
    return reply | {"conflicts": to_jsonable_python(receipt.conflicts)}


async def asked(
    node: Node, entrance: Entrance, id: UUID, command: Command[Any], wish: Wish
) -> Response:
    """Hand a command to the writer, wait for the commit, and reply."""
    submission = Submission(node, entrance, id, command, wish)
    try:
        receipt = await answered(submission.answer)
    except BaseException as error:
        submission.failed(error)
        raise
    body, status, headers = submission.reply(receipt)
    response = Response(body, status, media_type="application/json")
    response.raw_headers += headers
    return response


def _key(
    node: Node, entrance: Entrance, id: UUID, command: Command[Any], wish: Wish
) -> IdempotencyKey | None:
    """The client's key, scoped to who asks at which door; of the body only a keyed hash is kept."""
    if wish.key is None:
        return None
    body = command.__pydantic_serializer__.to_json(command).decode()
    fields = f"{written(id)} {wish.occurred_at} {body}"
    return IdempotencyKey(
        scope=_scope(node.keys, wish.caller.actor, entrance.path),
        key=named(node.keys, wish.key),
        digest=node.keys.keyed_hash("idempotency_body", fields),
    )


def named(keys: Keyring, key: str) -> str:
    """What stands for an idempotency key: clients put into theirs what is about people."""
    return keys.keyed_hash("idempotency_key", key).hex()


@lru_cache(1000)
def _scope(keys: Keyring, actor: UUID, path: str) -> bytes:
    return keys.keyed_hash("idempotency_scope", f"{actor} {path}")
