"""Many commands in one request: JSON lines in, one line back for each, in their order."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import orjson
import structlog
from fastapi import APIRouter, Header, Request
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect

from api.auth import Caller
from api.base import told
from api.body import BODY_BYTES_MAX
from api.delivery import KEY, Delivery, Item, Taken
from api.handover import answered
from api.lines import Outbox, lines_of
from api.problems import described, problems
from commands.lead import CaptureLead, QualifyLead
from eventstore.envelope import uuid7
from eventstore.errors import OutcomeUnknown
from eventstore.promise import Promise
from eventstore.writer import Receipt

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from api.node import Node

IN_FLIGHT_MAX = 250
"""Commands of one request that may wait for their commit; meanwhile no more of it is read. More
would be no faster, and commands of others wait behind them."""

BREATH_LINES = 20
"""After so many lines others get their turn."""

NDJSON = "application/x-ndjson"
EXAMPLES = (
    {"command": "CaptureLead", "fields": CaptureLead.example},
    {
        "command": "QualifyLead",
        "id": "0190f8a5-5c5e-7cc0-98c1-3f0a2b4d6e01",
        "occurred_at": "2026-01-31T10:00:00Z",
        "fields": QualifyLead.example,
    },
)
LINES = {
    "schema": Item.model_json_schema(),
    "example": "".join(orjson.dumps(one).decode() + "\n" for one in EXAMPLES),
}

log = structlog.get_logger()
router = APIRouter(prefix="/commands", tags=["commands"])


class Exchange(StreamingResponse):
    """Takes lines and answers them at the same time."""

    def __init__(self, request: Request, delivery: Delivery, stopping: threading.Event) -> None:
        self._request, self._delivery, self._stopping = request, delivery, stopping
        self._outbox = Outbox()
        self._taken: asyncio.Queue[Taken | None] = asyncio.Queue(IN_FLIGHT_MAX)
        self._begun = asyncio.Event()
        self.lines = self.events = self.problems = 0
        self.outcome = "whole"
        super().__init__(self._outbox.chunks(), media_type="application/x-ndjson")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read, answer and send, each as fast as it goes. See ASGI."""
        del scope, receive  # the request has them
        began = time.perf_counter()
        with self._outbox, self._delivery.ordinals:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._take())
                group.create_task(self._tell())
                # Whoever waits for "100 Continue" is told so by our reading, not by an answer.
                await self._begun.wait()
                await self.stream_response(send)
        self._log(began)

    async def _take(self) -> None:
        try:
            async for text in lines_of(self._chunks(), BODY_BYTES_MAX):
                if self._stopping.is_set():
                    # No more is begun by a server that ends; the rest comes when all is sent again.
                    self.outcome = "stopped"
                    break
                self.lines += 1
                if text is None or text.strip():
                    await self._taken.put(await self._delivery.take(self.lines, text))
                if self.lines % BREATH_LINES == 0:
                    await asyncio.sleep(0)
        except ClientDisconnect:
            # The line that was cut off never came; what was taken before counts.
            self.outcome = "disconnected"
        self._begun.set()
        await self._taken.put(None)

    async def _chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._request.stream():
            self._begun.set()
            yield chunk

    async def _tell(self) -> None:
        while taken := await self._taken.get():
            self._outbox.put(self._line(taken, await settled(taken.answer)))
        self._outbox.complete()

    def _line(self, taken: Taken, answer: Receipt | Exception) -> bytes:
        line: dict[str, Any] = {"line": taken.number}
        if isinstance(answer, Receipt):
            self.events += answer.events
            line |= told(answer)
        else:
            self.problems += 1
            line["problem"] = problem(answer, taken.key)
        return orjson.dumps(line, default=str, option=orjson.OPT_APPEND_NEWLINE)

    def _log(self, began: float) -> None:
        """One line per delivery."""
        log.info(
            "commands",
            outcome=self.outcome,
            lines=self.lines,
            events=self.events,
            problems=self.problems,
            actor=str(self._delivery.actor),
            correlation_id=str(self._delivery.correlation_id),
            ms=round((time.perf_counter() - began) * 1000, 1),
        )


@router.post(
    "",
    response_class=StreamingResponse,
    operation_id="commands",
    summary="Commands",
    openapi_extra={"requestBody": {"required": True, "content": {NDJSON: LINES}}},
    responses={
        200: {
            "description": "One line per command: what came of it, or a `problem`.",
            "content": {NDJSON: {"schema": {"type": "string"}}},
        },
        **problems(401, 422, 503),
    },
)
async def commands(
    request: Request,
    caller: Caller,
    *,
    idempotency_key: Annotated[
        str | None,
        Header(pattern=KEY, description="Names the delivery: equal lines of another one are new."),
    ] = None,
    correlation_id: Annotated[
        UUID | None, Header(description="What all of it belongs to; when absent, nothing else.")
    ] = None,
) -> Exchange:
    """Ask many commands, of any kind, as JSON lines; each is answered by a line, in their order.

    A line is `{"command": "QualifyLead", "id": …, "fields": {…}}`, and may say `occurred_at`,
    `expected_version` and `key`. It is answered by `{"line": 1, "id": …, "version": …,
    "position": …}` or `{"line": 1, "problem": {…}}`; a line that is wrong concerns no other. The
    commands are carried out in order, as fast as the log takes them, however many there are.

    All of it may be sent again, when answers are missing or only to be sure: what was done is not
    done again, and answered the same. A line is known by its `key`, or by its content and how
    many equal lines came before it in the delivery, which the `Idempotency-Key` of the request
    names. Refusals are remembered for 7 days; to ask again after that which was in the way is
    gone, give the delivery another name.
    """
    node: Node = request.app.state.node
    name, belongs_to = idempotency_key or "", correlation_id or uuid7()
    delivery = Delivery(node, caller.actor, name, belongs_to)
    return Exchange(request, delivery, node.pulse.stopping)


async def settled(answer: Promise | Exception) -> Receipt | Exception:
    """The receipt, or what stands in its place, once there is one."""
    if isinstance(answer, Exception):
        return answer
    try:
        if answer.done():
            return answer.result()
        return await answered(answer)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        return error


def problem(error: Exception, key: str | None) -> dict[str, Any]:
    """What to say of a line that came to nothing."""
    status, members, _ = described(error)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("command crashed", exc_info=error)
    if isinstance(error, OutcomeUnknown):
        members |= {"outcome": "unknown", "retry_by": key}
    return members
