"""The log itself: JSON lines in the order of the log, from any position, for ever."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from uuid import UUID

import orjson
from anyio import move_on_after, to_thread
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from api.auth import Caller, Identity
from api.body import Door, only_known_parameters
from api.problems import problems
from api.reads import in_events, noted
from domain.base import HIDDEN
from domain.values import INTEGER_MAX
from eventstore.errors import EventStoreError, Unavailable

if TYPE_CHECKING:
    from api.node import Node
    from eventstore.envelope import RecordedEvent
    from eventstore.log import Log

T = TypeVar("T")

PAGE_EVENTS = 500
HEARTBEAT_SECONDS = 15.0
LOOK_SECONDS = 0.25
AGAIN_SECONDS = 1.0
PATIENCE_SECONDS = 30.0

StoredType = Annotated[str, Query(pattern=r"^[a-z_]{1,60}(\.[a-z_]{1,60}\.v[0-9]{1,4})?$")]
Position = Annotated[int, Query(ge=0, le=INTEGER_MAX)]

router = APIRouter(prefix="/events", tags=["events"], route_class=Door)


class Pulse:
    """Wakes those who follow the log, as soon as there is more of it: one thread for them all.

    While nobody follows, nobody looks: with 250 commits a second that was a tenth of a processor,
    and the lock of the interpreter as often.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._beats: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._guard = threading.Lock()
        self._felt = threading.Event()
        self.stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def start(self) -> None:
        """Begin to watch the log."""
        self._thread.start()

    def stop(self) -> None:
        """Let everybody who follows come to an end."""
        self.stopping.set()
        self._felt.set()
        self._wake()

    def close(self) -> None:
        """Stop, and wait until the log is let go."""
        self.stop()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def followers(self) -> int:
        """How many follow the log just now."""
        return len(self._beats)

    @contextmanager
    def felt(self) -> Iterator[asyncio.Event]:
        """An event of the running loop that is set whenever the log has grown."""
        beat = asyncio.get_running_loop(), asyncio.Event()
        with self._guard:
            self._beats.add(beat)
            self._felt.set()
        try:
            yield beat[1]
        finally:
            with self._guard:
                self._beats.discard(beat)
                if not self._beats and not self.stopping.is_set():
                    self._felt.clear()

    def _wake(self) -> None:
        with self._guard:
            for loop, beat in self._beats:
                loop.call_soon_threadsafe(beat.set)

    def _run(self) -> None:
        seen = 0
        while not self.stopping.is_set():
            try:
                if not self._felt.is_set():
                    self._log.wait_no_more()
                    self._felt.wait()
                if newest := self._log.wait(seen, LOOK_SECONDS):
                    seen = newest
                    self._wake()
            except EventStoreError:
                # Those who follow find out for themselves when they read.
                self.stopping.wait(AGAIN_SECONDS)


@router.get(
    "",
    response_class=StreamingResponse,
    operation_id="events",
    summary="Events",
    responses={
        200: {
            "description": "One event a line: its envelope, and what happened as `data`.",
            "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
        },
        **problems(401, 422, 503),
    },
)
async def events(
    request: Request,
    caller: Caller,
    *,
    after: Position = 0,
    stream: UUID | None = None,
    type: Annotated[list[StoredType], Query(max_length=100)] = [],  # noqa: B006 - FastAPI copies
    actor: UUID | None = None,
    limit: Annotated[int | None, Query(ge=0, le=INTEGER_MAX)] = None,
    follow: bool = False,
) -> StreamingResponse:
    """Events after a position, as JSON lines; with `follow`, also those still to come.

    `type` is a stored type such as `lead.qualified.v1`, or an aggregate such as `lead`; give it
    again for more than one. While there is nothing to tell, an empty line shows that the line is
    open. Personal values are `[hidden]` from keys that may not see them, and once forgotten.
    """
    only_known_parameters(request)
    node: Node = request.app.state.node
    chosen = {"stream": stream, "types": tuple(type), "actor": actor}
    head = await to_thread.run_sync(node.workspace.log.last_position)
    show = partial(_shown, request, caller)
    lines = _lines(node, (after, head), limit, chosen, show, follow=follow)
    return StreamingResponse(lines, media_type="application/x-ndjson")


async def _lines(
    node: Node,
    between: tuple[int, int],
    limit: int | None,
    chosen: dict[str, Any],
    show: Callable[[list[RecordedEvent]], Awaitable[bytes]],
    *,
    follow: bool,
) -> AsyncGenerator[bytes]:
    async with aclosing(pages(node, between, limit, chosen, follow=follow)) as found:
        async for _, recorded in found:
            yield await show(recorded) or b"\n"


async def pages(
    node: Node,
    between: tuple[int, int],
    limit: int | None,
    chosen: dict[str, Any],
    *,
    follow: bool,
) -> AsyncGenerator[tuple[int, list[RecordedEvent]]]:
    """Events up to the end of the log and, when following, whenever it grows.

    A page comes with the position that was reached; when there is nothing for a while it is empty.
    """
    (after, head), log, left = between, node.workspace.log, limit
    with node.pulse.felt() as beat:
        beat.set()  # for the log may have grown since its end was looked up
        while True:
            while after < head and left != 0:
                size = PAGE_EVENTS if left is None else min(PAGE_EVENTS, left)
                page = partial(log.read, after, until=head, limit=size, **chosen)
                recorded = await _patiently(_all, page)
                after = recorded[-1].position if len(recorded) == size else head
                left = None if left is None else left - len(recorded)
                if recorded:
                    yield after, recorded
            if not follow or left == 0 or node.pulse.stopping.is_set():
                return
            with move_on_after(HEARTBEAT_SECONDS) as quiet:
                await beat.wait()
            if quiet.cancelled_caught:
                yield after, []
            beat.clear()
            head = await _patiently(log.last_position)


async def _shown(request: Request, caller: Identity, page: list[RecordedEvent]) -> bytes:
    """Lines as the one who asks may see them; that personal values are seen is recorded first."""
    if caller.personal:
        await noted(request, caller, *in_events(page))
    return b"".join(line(one, personal=caller.personal) for one in page)


def _all(page: Callable[[], Iterator[RecordedEvent]]) -> list[RecordedEvent]:
    return list(page())


async def _patiently(read: Callable[..., T], *arguments: Any) -> T:
    """What the log says, also when its database is just being started again."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return await to_thread.run_sync(read, *arguments)
        except Unavailable:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(AGAIN_SECONDS)


def line(recorded: RecordedEvent, *, personal: bool) -> bytes:
    """One event as one line."""
    option = orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(told(recorded, personal=personal), option=option)


def told(recorded: RecordedEvent, *, personal: bool) -> dict[str, Any]:
    """One event: its envelope, and what happened as `data`."""
    return {
        "position": recorded.position,
        "event_id": recorded.event_id,
        "stream_id": recorded.stream_id,
        "version": recorded.version,
        "type": recorded.event.type,
        "recorded_at": recorded.recorded_at,
        "occurred_at": recorded.occurred_at,
        "actor": recorded.actor,
        "correlation_id": recorded.correlation_id,
        "causation_id": recorded.causation_id,
        "data": shown(recorded, personal=personal),
    }


def shown(recorded: RecordedEvent, *, personal: bool) -> dict[str, Any]:
    """What happened, as far as the one who asks may see it; null is no secret."""
    event = recorded.event
    hidden = {
        name: repr(HIDDEN)
        for name in event.personal_fields()
        if getattr(event, name) is HIDDEN or not (personal or getattr(event, name) is None)
    }
    return event.model_dump(mode="json", exclude=set(hidden)) | hidden
