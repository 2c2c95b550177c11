"""What runs beside the server: the learners' process, the clock; and the first key of all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

import structlog

from commands.base import handle
from commands.clock import TickClock
from commands.user import RegisterUser
from domain.base import Refusal
from domain.clock import CLOCK
from domain.user import SYSTEM
from eventstore import postgres_child
from eventstore.envelope import uuid7
from eventstore.errors import EventStoreError
from eventstore.writer import Context
from replay.people import UserUnknown, find_user

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from api.node import Node
    from eventstore.postgres import EmbeddedPostgres

HANDLE = "admin"
ANSWER_SECONDS = 30.0
RESTART_SECONDS_MAX = 60.0
STOP_SECONDS = 20.0

log = structlog.get_logger()


class Background:
    """A thread that works until the block ends."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._thread = threading.Thread(target=self.run, name=type(self).__name__, daemon=True)

    def run(self) -> None:
        """Work until `stopping` is set."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stopping.set()
        self._thread.join()


class Keeper(Background):
    """Starts the embedded PostgreSQL again whenever it ends."""

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        super().__init__()
        self._postgres = postgres

    def run(self) -> None:
        """See `Background`."""
        self._postgres.keep(self.stopping)


class Learners(Background):
    """The process of the learners: started again, after a while, whenever it ends.

    The kernel ends it when this thread is gone, which lives as long as the server.
    """

    def __init__(self, directory: Path, database_url: str) -> None:
        super().__init__()
        self._command = [
            *(sys.executable, "-I", "-S", postgres_child.__file__),
            *(str(os.getpid()), str(int(signal.SIGTERM)), postgres_child.AS_IS, str(directory)),
            *(sys.executable, "-m", "learning", "--data", "."),
        ]
        self._environment = os.environ | {"BACKSTORY_DATABASE_URL": database_url}

    def run(self) -> None:
        """See `Background`."""
        pause = 1.0
        while not self.stopping.is_set():
            began = time.monotonic()
            # stdout is for what the server says; Ctrl-C is for the server, which then ends this.
            process = subprocess.Popen(  # noqa: S603 - ours
                self._command, env=self._environment, stdout=sys.stderr, start_new_session=True
            )
            log.info("learners started", pid=process.pid)
            code = self._watch(process)
            if self.stopping.is_set():
                return
            lived = time.monotonic() - began
            pause = 1.0 if lived > RESTART_SECONDS_MAX else min(2 * pause, RESTART_SECONDS_MAX)
            log.warning("learners ended", code=code, again_in_seconds=pause)
            self.stopping.wait(pause)

    def _watch(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for the end of the process, or bring it about."""
        while not self.stopping.wait(0.1):
            if process.poll() is not None:
                return process.returncode
        process.terminate()
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


class Ticker(Background):
    """Says every hour in the log that it has struck."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self._node = node

    def run(self) -> None:
        """See `Background`."""
        while not self.stopping.is_set():
            hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
            context = Context(actor=SYSTEM, correlation_id=uuid7(), occurred_at=hour)
            try:
                ticked = handle(self._node.writer, TickClock(moment=hour), CLOCK, context)
                ticked.result(ANSWER_SECONDS)
            except (Refusal, EventStoreError, TimeoutError) as error:
                log.warning("clock did not tick", error=str(error))
            left = hour + timedelta(hours=1) - datetime.now(UTC)
            self.stopping.wait(max(left.total_seconds(), 1.0))


def first_key(node: Node) -> str | None:
    """A key for the first user of a workspace that has no keys yet; None when it has."""
    if node.api_keys.list():
        return None
    try:
        user = find_user(node.workspace.log, HANDLE)
    except UserUnknown:
        user = uuid7()
        register = RegisterUser(name="Administrator", handle=HANDLE, team="Administration")
        context = Context(actor=SYSTEM, correlation_id=uuid7())
        handle(node.writer, register, user, context).result(ANSWER_SECONDS)
    return node.api_keys.create(user, "first key", personal=True)
