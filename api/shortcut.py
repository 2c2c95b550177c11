"""The short way of a command: from the socket to the writer, past the framework.

The framework makes a task and a dozen objects of each request, matches routes one by one and
solves dependencies anew, which costs several times what a command costs. A command in good order
needs none of it. Whatever is not in good order (another method, an unusual header, a fault of any
kind) goes the long way and is answered there, so that there is one place that says what is wrong.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from msgspec import DecodeError, Struct, json
from pydantic import ValidationError
from starlette.requests import Request
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.base import Entrance, Submission, Wish, new_id
from api.body import strict_json
from api.handover import handover
from api.problems import Problem, told
from domain.base import Refusal
from eventstore.envelope import uuid7
from eventstore.errors import EventStoreError
from eventstore.intent import Receipt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from api.node import Node
    from commands.base import Command
    from eventstore.promise import Promise

BEARER = b"Bearer "
JSON = b"application/json"
VISIBLE = bytes(range(0x21, 0x7F))
KEY_LENGTH_MAX = 200
ID_LENGTH = 36
SEGMENTS = 4
"""Of `/leads/{id}/qualify`, with the empty one before its first slash."""
ID = json.Decoder(UUID)
UNUSUAL = {b"if-match", b"correlation-id", b"causation-id", b"expect", b"upgrade"}


class Turn(Struct):
    """A command that takes the short way, from its headers to its reply.

    It stands where uvicorn keeps a `RequestResponseCycle`, and has of one what uvicorn looks at.
    """

    entrance: Entrance
    id: UUID | None
    wish: Wish
    keep_alive: bool
    body: bytes = b""
    disconnected: bool = False
    response_complete: bool = False

    message_event: ClassVar = asyncio.Event()
    """Nobody waits for more to come."""


class Shortcut(HttpToolsProtocol):
    """HTTP as uvicorn speaks it, but that commands in good order never leave this class."""

    node: ClassVar[Node]
    entrances: ClassVar[Mapping[bytes, Entrance]]
    turn: Turn | None = None
    """The command that is being read."""
    idle_since: float | None = None
    alarm: asyncio.TimerHandle | None = None
    """Looks whether the connection is idle: one for many commands, for to set and cancel one
    after each takes 3 µs."""

    @classmethod
    def to(cls, node: Node, entrances: Iterable[Entrance]) -> type[Shortcut]:
        """The class for the doors of one node."""
        doors = {entrance.path.encode(): entrance for entrance in entrances}
        return type(cls.__name__, (cls,), {"node": node, "entrances": doors})

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio."""
        super().connection_made(transport)
        self.handover = handover()

    def on_message_begin(self) -> None:
        """See httptools. What the framework needs of a request is made if it gets to see it."""
        self.url, self.headers = b"", []

    def on_header(self, name: bytes, value: bytes) -> None:
        """See httptools."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """See httptools."""
        self.turn = self._turn()
        if self.turn is None:
            self._begin_long()
        else:
            self.cycle = self.turn  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        """See httptools."""
        if self.turn is None:
            super().on_body(body)
            return
        self.turn.body += body
        if len(self.turn.body) > HIGH_WATER_LIMIT:
            self._go_long(self.turn)

    def on_message_complete(self) -> None:
        """See httptools."""
        turn = self.turn
        command = None if turn is None else _command(turn.entrance.command, turn.body)
        if turn is None:
            super().on_message_complete()
        elif command is None:
            self._go_long(turn)
            super().on_message_complete()
        else:
            self._submit(turn, command)

    def _turn(self) -> Turn | None:
        """The short way for a request of which the headers are there; None if it has to go long."""
        before: RequestResponseCycle | None = self.cycle
        if before is not None and not before.response_complete:
            return None  # it has to wait for the request before it
        if self.parser.get_method() != b"POST" or self.parser.get_http_version() != "1.1":
            return None
        entrance, id = self._entrance(self.url)
        wish = self._wish() if entrance and not self.flow.write_paused else None
        if entrance is None or wish is None:
            return None
        return Turn(entrance, id, wish, keep_alive=self.parser.should_keep_alive())

    def _entrance(self, url: bytes) -> tuple[Entrance | None, UUID | None]:
        """The door a request is at, and the id in its path."""
        parts = url.split(b"/")
        if len(parts) != SEGMENTS or len(parts[2]) != ID_LENGTH:
            # The path of a door with an id in it, as it is described, names no record.
            return None if b"{" in url else self.entrances.get(url), None
        _, home, id, verb = parts
        try:
            return self.entrances.get(b"/%b/{id}/%b" % (home, verb)), ID.decode(b'"%b"' % id)
        except DecodeError:
            return None, None

    def _wish(self) -> Wish | None:
        """What the headers say; None if that takes more than a glance."""
        said = dict(self.headers)
        if len(said) < len(self.headers) or not UNUSUAL.isdisjoint(said):
            return None
        given = said.get(b"authorization", b"")
        if said.get(b"content-type") != JSON or not given.startswith(BEARER):
            return None
        key = said.get(b"idempotency-key")
        if key is not None and (key.strip(VISIBLE) or not 0 < len(key) <= KEY_LENGTH_MAX):
            return None
        caller = self.node.api_keys.recall(given[len(BEARER) :].decode("latin-1"))
        if caller is None:
            return None
        id = uuid7()
        return Wish(caller, key.decode() if key else None, None, id, id, None, None)

    def _begin_long(self) -> None:
        """Let uvicorn have a request, of which the headers are there."""
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url = url
        for name, value in headers:
            super().on_header(name, value)
        super().on_headers_complete()

    def _go_long(self, turn: Turn) -> None:
        """Let uvicorn have a request that began on the short way, with the body as far as it is."""
        self.turn = None
        turn.response_complete = True
        self._begin_long()
        self.cycle.keep_alive &= turn.keep_alive
        if turn.body:
            super().on_body(turn.body)

    def _submit(self, turn: Turn, command: Command[Any]) -> None:
        """Hand a command to the writer."""
        self.turn = None
        try:
            id = turn.id or new_id(self.node.keys, turn.entrance, turn.wish)
            asked = Submission(self.node, turn.entrance, id, command, turn.wish)
        except Exception as error:  # noqa: BLE001 - a bug, and no fault of the request
            self._fail(turn, error)
        else:
            self.handover.tell(asked.answer, partial(self._reply, turn, asked))

    def _reply(self, turn: Turn, asked: Submission, answer: Promise) -> None:
        """Reply to a command, after its commit."""
        outcome = answer.outcome()
        if isinstance(outcome, Receipt):
            body, status, headers = asked.reply(outcome)
            about = b"content-length: %d\r\ncontent-type: application/json\r\n" % len(body)
            self._send(turn, status, about + _lines(headers), body)
        else:
            asked.failed(outcome)
            self._fail(turn, outcome)

    def _fail(self, turn: Turn, error: Exception) -> None:
        task = self.loop.create_task(self._tell(turn, error))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _tell(self, turn: Turn, error: Exception) -> None:
        """Tell an error as the problem it is."""
        if not isinstance(error, Refusal | EventStoreError):
            self.logger.error("a command failed by a bug", exc_info=error)
        key = turn.wish.key
        given = [] if key is None else [(b"idempotency-key", key.encode())]
        response = await told(Request({"type": "http", "headers": given}), error)
        headers = _lines(response.raw_headers)
        self._send(turn, response.status_code, headers, bytes(response.body))

    def _send(self, turn: Turn, status: int, headers: bytes, body: bytes) -> None:
        """Write an answer, and go on with the next request."""
        turn.response_complete = True
        if turn.disconnected or self.transport.is_closing():
            return
        head = _head(status, tuple(self.server_state.default_headers)) + headers
        end = b"\r\n" if turn.keep_alive else b"connection: close\r\n\r\n"
        self.transport.write(head + end + body)
        if not turn.keep_alive:
            self.transport.close()
        if self.pipeline or not turn.keep_alive:
            self.on_response_complete()
        else:
            self._rest()

    def _rest(self) -> None:
        """Wait for the next request, as long as uvicorn would."""
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self.idle_since = self.loop.time()
        if self.alarm is None:
            self.alarm = self.loop.call_later(self.timeout_keep_alive, self._look)

    def _unset_keepalive_if_required(self) -> None:
        """See uvicorn: called whenever something comes in."""
        self.idle_since = None
        if self.timeout_keep_alive_task is not None:
            super()._unset_keepalive_if_required()

    def _look(self) -> None:
        """Close the connection if it was idle for long enough; if it was busy, look later."""
        self.alarm = None
        if self.idle_since is None:
            return
        left = self.idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self.alarm = self.loop.call_later(left, self._look)
        else:
            self.timeout_keep_alive_handler()


def _command(command: type[Command[Any]], body: bytes) -> Command[Any] | None:
    """The command in a body; None if there is a fault in it."""
    if not body:
        return None
    try:
        wanted: Command[Any] = command.__pydantic_validator__.validate_python(strict_json(body))
    except (Problem, ValidationError):
        return None
    return wanted  # `model_validate` takes half a µs more to call the same


@lru_cache(16)
def _head(status: int, headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """How answers begin until the next second: the status, and the headers that all have."""
    return b"HTTP/1.1 %d %b\r\n" % (status, HTTPStatus(status).phrase.encode()) + _lines(headers)


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])
