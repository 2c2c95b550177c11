"""The commands of one request: what a line is, and how it gets to the writer, once and in turn."""

from __future__ import annotations

import asyncio
from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar
from uuid import UUID, uuid5

import orjson
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api.base import named
from api.body import BODY_BYTES_MAX, strict_json
from api.clock import the_clock
from api.custom_fields import of_its_aggregate
from api.lines import Ordinals
from api.problems import Problem
from api.retention_rule import of_its_kind
from commands import COMMANDS
from commands.base import Command
from commands.clock import TickClock
from commands.custom_fields import DeclareCustomField, RetireCustomField
from commands.retention_rule import RepealRetentionRule, SetRetentionRule
from domain.values import Moment
from eventstore.errors import EventStoreError, Overloaded
from eventstore.writer import SHARED, Context, IdempotencyKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from api.node import Node
    from eventstore.promise import Promise

M = TypeVar("M", bound=BaseModel)

FULL_SECONDS = 0.02
"""How soon to try again when the writer has no room."""

ITEMS = UUID("3d5f2b1c-8a94-5e07-b6c1-9f0e4d7a2c58")
"""Namespace of the ids of commands that come in bulk, and of the records they start."""

KEY = r"^[\x21-\x7e]{1,200}$"
BY_NAME: dict[str, type[Command[Any]]] = {command.__name__: command for command in COMMANDS}
ADDRESSED: dict[type[Command[Any]], Callable[[Any], UUID]] = {
    DeclareCustomField: of_its_aggregate,
    RetireCustomField: of_its_aggregate,
    SetRetentionRule: of_its_kind,
    RepealRetentionRule: of_its_kind,
    TickClock: the_clock,
}
"""Commands that need no id, for what they say tells the stream."""


class CommandUnknown(Problem, status=422):
    """There is no command {command}."""


class IdMissing(Problem, status=422):
    """{command} is about a record that exists: name its `id`."""


class LineTooLong(Problem, status=413):
    """The line is longer than {limit_bytes} bytes."""


class EarlierLineUnsettled(Problem, status=503):
    """What became of line {line} is not certain, so nothing after it was done. Send all again."""


class Item(BaseModel):
    """One line: a command, whom it is about, and its fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: Annotated[str, Field(pattern=r"^[A-Za-z]{1,60}$")]
    id: UUID | None = None
    """The record; when it is started without one, its id follows from the line."""
    occurred_at: Moment | None = None
    expected_version: Annotated[int | None, Field(ge=0, lt=10**18)] = None
    key: Annotated[str | None, Field(pattern=KEY)] = None
    """Stands for this wish wherever it is sent; without one, the line does."""
    fields: dict[str, Any] = {}


class Taken(NamedTuple):
    """A line whose answer is there, or under way."""

    number: int
    key: str | None
    answer: Promise | Exception


class Delivery:
    """The commands of one request, handed to the writer in their order."""

    def __init__(self, node: Node, actor: UUID, name: str, correlation_id: UUID) -> None:
        self._writer, self._keys = node.writer, node.keys
        self.actor, self.correlation_id = actor, correlation_id
        hashed = node.keys.keyed_hash
        self._scope = hashed("idempotency_scope", f"{actor} /commands")
        self._secret = hashed("bulk_lines", f"{actor} {name}")
        self._unsettled: int | None = None
        self.ordinals = Ordinals()

    async def take(self, number: int, text: bytes | None) -> Taken:
        """Hand the command of a line to the writer, as soon as that has room for it."""
        key = None
        try:
            if text is None:
                raise LineTooLong(limit_bytes=BODY_BYTES_MAX)
            value = strict_json(text)
            item = valid(Item, value)
            key = item.key
            command = read(item)
            context = self._context(item, value)
            return Taken(number, key, await self._submitted(number, item, command, context))
        except (Problem, EventStoreError, RequestValidationError) as error:
            return Taken(number, key, error)

    async def _submitted(
        self, number: int, item: Item, command: Command[Any], context: Context
    ) -> Promise:
        stream_id, looks = stream_of(item, command, context.command_id), command.looks()
        while True:
            self._check()
            decide = self._decide(command)
            answer = self._writer.submit(stream_id, command.of, decide, context, looks)
            if not (answer.done() and isinstance(answer.exception(), Overloaded)):
                break
            await asyncio.sleep(FULL_SECONDS)
        answer.add_done_callback(lambda done: self._note(number, done))
        return answer

    def _decide(self, command: Command[Any]) -> Callable[[Any, Any], Iterable[Any]]:
        """The decision, unless a line before it may still have to be sent again."""

        def decide(world: Any, state: Any) -> Iterable[Any]:
            self._check()
            return command.decided(world, state)

        return decide

    def _check(self) -> None:
        if self._unsettled is not None:
            raise EarlierLineUnsettled(line=self._unsettled)

    def _note(self, number: int, done: Promise) -> None:
        """Called by the writer before it turns to the next batch."""
        if isinstance(done.exception(), SHARED) and self._unsettled is None:
            self._unsettled = number

    def _context(self, item: Item, value: object) -> Context:
        """Who asks, and the id by which the same line, sent again, is known."""
        content = orjson.dumps(value, default=str, option=orjson.OPT_SORT_KEYS)
        if item.key is None:
            digest = keyed(self._secret, content)
            command_id = uuid5(ITEMS, f"{digest.hex()} {self.ordinals.next(digest)}")
            key = IdempotencyKey(self._scope, str(command_id), b"", derived=True)
        else:
            name = named(self._keys, item.key)
            command_id = uuid5(ITEMS, f"{self._scope.hex()} {name}")
            key = IdempotencyKey(self._scope, name, keyed(self._scope, content))
        return Context(
            actor=self.actor,
            correlation_id=self.correlation_id,
            occurred_at=item.occurred_at,
            command_id=command_id,
            once=True,
            expected_version=item.expected_version,
            key=key,
        )


def keyed(secret: bytes, text: bytes) -> bytes:
    """What stands for a line, of which nothing can be told without the secret.

    HMAC lets other threads run each time and then waits its turn; this does not.
    """
    return blake2b(text, key=secret, digest_size=32).digest()


def read(item: Item) -> Command[Any]:
    """The command of a line."""
    command = BY_NAME.get(item.command)
    if command is None:
        raise CommandUnknown(command=item.command)
    return valid(command, item.fields, "fields")


def valid(model: type[M], value: object, *place: str) -> M:
    """A value as what it has to be; the faults found are told by where in the line they are."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError(
            [{**fault, "loc": ("body", *place, *fault["loc"])} for fault in faults]
        ) from None


def stream_of(item: Item, command: Command[Any], command_id: UUID) -> UUID:
    """The record a line is about; one that it starts gets its id from the line."""
    addressed = ADDRESSED.get(type(command))
    if addressed is not None:
        found = addressed(command)
        return item.id or found
    if item.id is None and not command.creates:
        raise IdMissing(command=item.command)
    return item.id or uuid5(ITEMS, str(command_id))
