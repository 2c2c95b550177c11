"""A process that answers anybody's questions: `python -m api.read_node --data DIR --socket PATH`.

It follows the log into tables of its own, and has limits of its own: whatever a question does to
it, those who write, and the tables behind all other doors, do not notice.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import shutil
import signal
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import duckdb
import orjson
import structlog
import uvicorn
from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.answers import NEXT, POSITION, reached
from api.asking import Asked, Broken, Told, told
from api.problems import Problem, answer_with_problems
from eventstore.logs import configure
from eventstore.workspace import Workspace
from projections.follower import Follower
from readmodels.formats import Format
from readmodels.question import Deadline
from replay.tables import open_tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Receive, Scope, Send

    from eventstore.keys import Keyring
    from projections.tables import Tables

MEMORY_BYTES_MAX = 2**30
MEMORY_SHARE = 4
"""DuckDB may use this part of what the machine has, and no more than the maximum."""

REST_BYTES = 6 * 2**30
"""What the process may map beside that: the interpreter, what is on its way to a reader, and what
allocators set aside. With a quarter of it tables of a log of 50,000 events could not be made."""

DISK_BYTES = 2 * 2**30
NICE = 10
REST_SECONDS = 10.0
"""It follows at its leisure while nobody asks, and at once for whoever does."""

THREADS_MAX = 40
LOOK_SECONDS = 1.0
DATA = 5
"""Where in `/proc/self/statm` the pages are that are not shared with any file."""

OVERDUE = 75
"""Exit code when a question could be ended in no other way."""

NOT_FOLLOWING = 76
"""Exit code when the tables could not follow the log."""

LEFTOVERS = 77
"""Exit code when the personal file has to be made anew, for somebody was forgotten."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ReadNode:
    """The tables, and the follower that keeps them up to date."""

    tables: Tables
    follower: Follower
    keys: Keyring


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a read node is, and what it takes of the memory it may have."""

    position: int
    memory_bytes: int
    memory_bytes_max: int


def standing(node: ReadNode) -> Standing:
    """How this process is. What it has mapped counts, for that is what is limited."""
    pages = int(Path("/proc/self/statm").read_text().split()[DATA])
    limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
    return Standing(node.follower.position, pages * resource.getpagesize(), limit)


class Door:
    """`POST /`: a question in, its answer out as the rows come; withdrawn when nobody waits."""

    def __init__(self, node: ReadNode) -> None:
        self._node = node
        self._threads = CapacityLimiter(THREADS_MAX)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        asked = Asked.model_validate_json(await Request(scope, receive).body())
        await reached(self._node.follower, asked.min_position, asked.wait_seconds)
        deadline = Deadline(asked.seconds, overdue)
        answer = told(self._node.tables.database, self._node.keys, asked, deadline)
        watch = asyncio.create_task(_stopped_when_gone(receive, deadline))
        try:
            await self._send(send, asked.format, answer)
        finally:
            watch.cancel()
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(answer.close, limiter=self._threads)

    async def _send(self, send: Send, how: Format, answer: Told) -> None:
        """What fails before the first bytes is told as a problem, later by breaking off."""
        head = await self._next(answer)
        chunk = await self._next(answer)
        headers = {POSITION: str(head.position), "Content-Type": how.media_type}
        if head.next:
            headers[NEXT] = head.next
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": encoded})
        try:
            while chunk is not None:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                chunk = await self._next(answer)
        except (Problem, Broken) as error:
            log.info("answer broken off", reason=str(error))
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _next(self, answer: Told) -> Any:
        return await to_thread.run_sync(next, answer, None, limiter=self._threads)


async def _stopped_when_gone(receive: Receive, deadline: Deadline) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    deadline.stop()


def overdue() -> None:
    """Nothing but its end ends what this process works on; it is started again at once."""
    log.warning("question overdue")
    os._exit(OVERDUE)


def _watch(follower: Follower) -> None:
    """End with the follower, which a question may have left without memory; and start again.

    So it does when somebody was forgotten: at its start the file is made anew.
    """
    while not follower.ended.wait(LOOK_SECONDS):
        if follower.tables.leftovers:
            os._exit(LEFTOVERS)
    if follower.error is not None:
        os._exit(NOT_FOLLOWING)


def _limit() -> int:
    """Give way to others, and use so much memory and no more; how much of it DuckDB may use."""
    os.nice(NICE)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    memory = min(MEMORY_BYTES_MAX, installed // MEMORY_SHARE)
    resource.setrlimit(resource.RLIMIT_DATA, (memory + REST_BYTES,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return memory


def _tables(workspace: Workspace, folder: Path) -> Tables:
    """The tables of this node; files that cannot be opened, or were made by others, are no loss."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        tables = open_tables(workspace, folder)
    except duckdb.Error as error:
        log.warning("tables begun anew", reason=str(error))
        shutil.rmtree(folder)
        folder.mkdir()
        tables = open_tables(workspace, folder)
    if tables.leftovers:
        tables.close()
        for path in folder.glob("personal-*"):
            path.unlink()
        tables = open_tables(workspace, folder)
    kept = tuple(path.name for path in tables.paths)
    for path in folder.iterdir():
        if not path.name.startswith(kept):
            path.unlink() if path.is_file() else shutil.rmtree(path)
    return tables


@contextmanager
def _opened(directory: Path, database_url: str, name: str, memory: int) -> Iterator[ReadNode]:
    with Workspace.open(directory, database_url, name) as workspace:
        keys = workspace.keys
        if keys is None:
            raise ValueError("a read node opens personal columns; open the workspace with its keys")
        tables = _tables(workspace, directory / "read_node")
        tables.database.limit(
            memory_bytes=memory, disk_bytes=DISK_BYTES, threads=os.cpu_count() or 1
        )
        follower = Follower(
            tables,
            workspace.log.read_arrow,
            workspace.log.wait,
            rest_seconds=REST_SECONDS,
        )
        follower.start()
        threading.Thread(target=_watch, args=(follower,), daemon=True).start()
        yield ReadNode(tables, follower, keys)
        follower.stop()
        tables.close()


def _end(*_: object) -> None:
    """Unwind; the server hands the signal on after its last answer."""
    raise SystemExit(0)


def main() -> None:
    """Answer questions until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m api.read_node", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="directory of the workspace")
    parser.add_argument("--socket", type=Path, required=True, help="where to listen")
    url = os.environ.get("BACKSTORY_DATABASE_URL")  # where no list of processes shows passwords
    parser.add_argument("--database-url", default=url, required=not url, help="its PostgreSQL")
    parser.add_argument("--workspace", default="default", help="its name")
    given = parser.parse_args()
    configure()
    signal.signal(signal.SIGTERM, _end)
    with _opened(given.data, given.database_url, given.workspace, _limit()) as node:

        def told_standing(_: Request) -> Response:
            return Response(orjson.dumps(standing(node)), media_type="application/json")

        app = Starlette(
            routes=[
                Route("/", Door(node), methods=["POST"]),
                Route("/standing", told_standing, methods=["GET"]),
            ]
        )
        answer_with_problems(app)
        config = uvicorn.Config(
            app,
            uds=str(given.socket),
            access_log=False,
            log_level="critical",
            timeout_graceful_shutdown=1,
        )
        uvicorn.Server(config).run()


if __name__ == "__main__":
    main()
