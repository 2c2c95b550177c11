"""What works beside the doors: threads of this process, and processes that end with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Self

import structlog

from eventstore import postgres_child

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

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


class Process(Background):
    """A process of ours, `python -m MODULE`: started again, after a while, whenever it ends.

    The kernel ends it when this thread is gone, which lives as long as the server.
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        database_url: str,
        module: str,
        *arguments: str,
        pause_seconds_max: float = RESTART_SECONDS_MAX,
    ) -> None:
        super().__init__()
        self._log = log.bind(process=name)
        self._pause_seconds_max = pause_seconds_max
        self._command = [
            *(sys.executable, "-I", "-S", postgres_child.__file__),
            *(str(os.getpid()), str(int(signal.SIGTERM)), postgres_child.AS_IS, str(directory)),
            *(sys.executable, "-m", module, *arguments),
        ]
        self._unwanted = threading.Event()
        self._environment = os.environ | {"BACKSTORY_DATABASE_URL": database_url}

    def restart(self) -> None:
        """End the process at once, whatever it does, and start it again."""
        self._unwanted.set()

    def run(self) -> None:
        """See `Background`."""
        pause = min(1.0, self._pause_seconds_max)
        while not self.stopping.is_set():
            began = time.monotonic()
            # stdout is for what the server says; Ctrl-C is for the server, which then ends this.
            process = subprocess.Popen(  # noqa: S603 - ours
                self._command, env=self._environment, stdout=sys.stderr, start_new_session=True
            )
            self._log.info("process started", pid=process.pid)
            code = self._watch(process)
            if self.stopping.is_set():
                return
            lived = time.monotonic() - began
            pause = min(1.0 if lived > RESTART_SECONDS_MAX else 2 * pause, self._pause_seconds_max)
            self._log.warning("process ended", code=code, again_in_seconds=pause)
            self.stopping.wait(pause)

    def _watch(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for the end of the process, or bring it about."""
        while not self.stopping.wait(0.1):
            if self._unwanted.is_set():
                self._unwanted.clear()
                process.kill()
                return process.wait()
            if process.poll() is not None:
                return process.returncode
        process.terminate()
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
