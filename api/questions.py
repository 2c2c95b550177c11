"""Questions of anybody's, handed to the process that answers them, and the answers handed on."""

from __future__ import annotations

import asyncio
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import structlog
from anyio import CapacityLimiter
from starlette.responses import Response

from api.answers import NEXT, POSITION
from api.problems import ReadNodeAway, TooManyQuestions
from api.process import Process
from readmodels.question import GRACE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.datastructures import URL
    from starlette.types import Receive, Scope, Send

    from api.asking import Asked
    from eventstore.workspace import Workspace

ANSWERED_AT_ONCE_MAX = 4
OF_ONE_ANSWERED_AT_ONCE_MAX = 2
"""So nobody takes all places."""

OF_ONE_WAITING_MAX = 32
START_SECONDS_MAX = 15.0
LOOK_SECONDS = 0.05
LOOK_SECONDS_MAX = 1.0
"""A read node that says nothing for so long does not work."""
PAUSE_SECONDS = 0.2
"""Between the end of the process and its next start."""

HANDED_ON = ("content-type", "retry-after", POSITION.lower())

Turn = AbstractAsyncContextManager[None]

log = structlog.get_logger()


class Questions:
    """The way to the read node of a workspace, which is started when it is first asked."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._guard = threading.Lock()
        self._process: Process | None = None
        self._folder: Path | None = None

    def start(self) -> Path:
        """Have the process run from now on; where it listens."""
        with self._guard:
            if self._folder is None:
                # The path of a socket must be short, and its folder closed to others.
                self._folder = Path(tempfile.mkdtemp(prefix="backstory-"))
            place = self._folder / "read_node"
            if self._process is None:
                self._process = Process(
                    "read node",
                    self._workspace.directory,
                    self._workspace.database_url,
                    *("api.read_node", "--data", ".", "--socket", str(place)),
                    *("--workspace", self._workspace.name),
                    pause_seconds_max=PAUSE_SECONDS,
                )
                self._process.__enter__()
            return place

    def close(self) -> None:
        """End the process."""
        with self._guard:
            if self._process is not None:
                self._process.__exit__(None, None, None)
                self._process = None
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None

    def standing(self) -> dict[str, Any] | None:
        """What the process says of itself; nothing if it was not started, empty if it is silent."""
        with self._guard:
            if self._process is None or self._folder is None:
                return None
            place = str(self._folder / "read_node")
        transport = httpx.HTTPTransport(uds=place, verify=False)
        try:
            with (
                socket.socket(socket.AF_UNIX) as knocking,
                httpx.Client(transport=transport, timeout=LOOK_SECONDS_MAX) as client,
            ):
                knocking.connect(place)  # httpx does not close a socket that nobody answers
                found: dict[str, Any] = client.get("http://read.node/standing").json()
                return found
        except (httpx.TransportError, OSError):
            return {}

    @asynccontextmanager
    async def asked(self, asked: Asked) -> AsyncIterator[httpx.Response]:
        """The answer to a question, its body still to come."""
        transport = httpx.AsyncHTTPTransport(uds=str(self.start()), verify=False)
        seconds = asked.wait_seconds + asked.seconds + 2 * GRACE_SECONDS
        timeout = httpx.Timeout(seconds, connect=START_SECONDS_MAX)
        client = httpx.AsyncClient(
            transport=transport, timeout=timeout, base_url="http://read.node"
        )
        async with client:
            reply = await self._sent(client, asked)
            try:
                yield reply
            finally:
                await reply.aclose()

    async def _sent(self, client: httpx.AsyncClient, asked: Asked) -> httpx.Response:
        """The head of the reply, as soon as there is somebody to give it."""
        until = time.monotonic() + START_SECONDS_MAX
        request = client.build_request("POST", "/", content=asked.model_dump_json())
        while True:
            try:
                return await client.send(request, stream=True)
            except httpx.ConnectError:
                if time.monotonic() > until:
                    raise ReadNodeAway from None
                await asyncio.sleep(LOOK_SECONDS)
            except httpx.TransportError as error:
                if isinstance(error, httpx.ReadTimeout):
                    self._restart()
                log.warning("question lost", reason=type(error).__name__)
                raise ReadNodeAway from None

    def _restart(self) -> None:
        with self._guard:
            if self._process is not None:
                self._process.restart()


@dataclass
class _Queue:
    """The questions of one caller."""

    turns: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(OF_ONE_ANSWERED_AT_ONCE_MAX)
    )
    waiting: int = 0


class Turns:
    """Who is answered when: a few at once, and nobody has all places."""

    def __init__(self) -> None:
        self._places = CapacityLimiter(ANSWERED_AT_ONCE_MAX)
        self._queues: dict[UUID, _Queue] = {}

    @asynccontextmanager
    async def of(self, caller: UUID) -> AsyncIterator[None]:
        """The turn of a caller, for one question."""
        queue = self._queues.setdefault(caller, _Queue())
        if queue.waiting >= OF_ONE_WAITING_MAX:
            raise TooManyQuestions(waiting=queue.waiting)
        queue.waiting += 1
        try:
            async with queue.turns, self._places:
                yield
        finally:
            queue.waiting -= 1
            if not queue.waiting:
                self._queues.pop(caller, None)


class Relayed(Response):
    """The answer to a question, handed on as it comes; withdrawn when nobody waits for it."""

    def __init__(
        self,
        questions: Questions,
        asked: Asked,
        turn: Turn,
        address: URL,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._questions, self._asked, self._turn, self._address = questions, asked, turn, address
        self._more = headers or {}
        self.background = None

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        relaying = asyncio.create_task(self._relay(send))
        gone = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait({relaying, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (relaying, gone):
                task.cancel()
            with suppress(asyncio.CancelledError):
                await relaying

    async def _relay(self, send: Send) -> None:
        async with self._turn, self._questions.asked(self._asked) as reply:
            await send(
                {
                    "type": "http.response.start",
                    "status": reply.status_code,
                    "headers": self._handed_on(reply),
                }
            )
            try:
                async for chunk in reply.aiter_raw():
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            except httpx.TransportError as error:
                log.info("answer broken off", reason=type(error).__name__)
            else:
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _handed_on(self, reply: httpx.Response) -> list[tuple[bytes, bytes]]:
        kept = {name: reply.headers[name] for name in HANDED_ON if name in reply.headers}
        kept |= {name.lower(): value for name, value in self._more.items()}
        if NEXT in reply.headers:
            further = self._address.include_query_params(cursor=reply.headers[NEXT])
            kept["link"] = f'<{further}>; rel="next"'
        return [(name.encode(), value.encode()) for name, value in kept.items()]


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
