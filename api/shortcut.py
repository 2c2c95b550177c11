"""The short way of a command: from the socket to the writer, past the framework.

FastAPI matches routes one by one and solves dependencies anew for each request, which costs
several times what a command costs. A command in good order needs neither. Whatever is not in good
order (another method, an unusual header, a fault of any kind) goes the long way and is answered
there, so that there is one place that says what is wrong.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pydantic import ValidationError
from starlette.requests import Request

from api.base import Entrance, Wish, done, new_id
from api.body import BODY_BYTES_MAX, strict_json
from api.problems import Problem, told
from domain.base import Refusal
from eventstore.envelope import uuid7
from eventstore.errors import EventStoreError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from api.node import Node
    from commands.base import Command

BEARER = b"Bearer "
JSON = b"application/json"
KEY = re.compile(rb"[\x21-\x7e]{1,200}")
UUID_CHARACTERS = 36
KNOWN = {b"authorization", b"content-type", b"idempotency-key"}
UNUSUAL = {b"if-match", b"correlation-id", b"causation-id"}


class Shortcut:
    """Stands before the application, and lets past what it does not answer itself."""

    def __init__(self, app: ASGIApp, *, node: Node, entrances: Iterable[Entrance]) -> None:
        self.app = app
        self.node = node
        self.entrances = {entrance.path: entrance for entrance in entrances}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        entrance, id = self._entrance(scope)
        wish = self._wish(scope) if entrance else None
        if entrance is None or wish is None:
            await self.app(scope, receive, send)
            return
        messages = await _read(receive)
        command = _command(entrance.command, messages)
        if command is None:
            await self.app(scope, _again(messages, receive), send)
            return
        try:
            reply = await done(
                self.node, entrance, id or new_id(self.node.keys, entrance, wish), command, wish
            )
        except Exception as error:
            response = await told(Request(scope), error)
            await response(scope, receive, send)
            if not isinstance(error, Refusal | EventStoreError):
                raise  # a bug: the server says so in its log
        else:
            await _send(send, *reply)

    def _entrance(self, scope: Scope) -> tuple[Entrance | None, UUID | None]:
        """The door a request is at, and the id in its path."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["query_string"]:
            return None, None
        path: str = scope["path"]
        if entrance := self.entrances.get(path):
            return entrance, None
        home, _, rest = path[1:].partition("/")
        id, _, verb = rest.partition("/")
        entrance = self.entrances.get(f"/{home}/{{id}}/{verb}")
        if entrance is None or len(id) != UUID_CHARACTERS:
            return None, None
        try:
            return entrance, UUID(id)
        except ValueError:
            return None, None

    def _wish(self, scope: Scope) -> Wish | None:
        """What the headers say; None if that takes more than a glance."""
        found: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name in UNUSUAL or name in found:
                return None
            if name in KNOWN:
                found[name] = value
        given = found.get(b"authorization", b"")
        key = found.get(b"idempotency-key")
        if found.get(b"content-type") != JSON or not given.startswith(BEARER):
            return None
        if key is not None and not KEY.fullmatch(key):
            return None
        caller = self.node.api_keys.recall(given[len(BEARER) :].decode("latin-1"))
        if caller is None:
            return None
        id = uuid7()
        return Wish(caller, key.decode() if key else None, None, id, id, None, None)


async def _send(send: Send, body: bytes, status: int, headers: dict[str, str]) -> None:
    """What `starlette.Response` sends."""
    raw = [
        (b"content-length", b"%d" % len(body)),
        (b"content-type", JSON),
        *[(name.lower().encode(), value.encode()) for name, value in headers.items()],
    ]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def _read(receive: Receive) -> list[Message]:
    """The messages that make up a body, or enough of them to see that it is too large."""
    messages: list[Message] = []
    size = 0
    while size <= BODY_BYTES_MAX:
        messages.append(await receive())
        size += len(messages[-1].get("body", b""))
        if not messages[-1].get("more_body"):
            break
    return messages


def _command(command: type[Command[Any]], messages: list[Message]) -> Command[Any] | None:
    """The command in a body; None if it is not all there, or there is a fault in it."""
    if messages[-1]["type"] != "http.request" or messages[-1].get("more_body"):
        return None
    body = b"".join(message.get("body", b"") for message in messages)
    if not body or len(body) > BODY_BYTES_MAX:
        return None
    try:
        return command.model_validate(strict_json(body))
    except (Problem, ValidationError):
        return None


def _again(messages: list[Message], receive: Receive) -> Receive:
    """Receive messages that were taken already, then those after them."""
    waiting = iter(messages)

    async def again() -> Message:
        return next(waiting, None) or await receive()

    return again
