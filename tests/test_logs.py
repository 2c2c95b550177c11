"""Lines of the log are whole, in order, and written together where that saves the loop time."""

from __future__ import annotations

import asyncio
import io
import threading

import structlog
from structlog.testing import capture_logs

from eventstore.logs import TOGETHER_SECONDS, Lines, configure


class Written(io.BytesIO):
    """Counts how often it is written to."""

    writes = 0

    def write(self, line, /):
        self.writes += 1
        return super().write(line)


def test_outside_a_loop_each_line_is_written_at_once():
    file = Written()
    lines = Lines(file)
    for number in range(3):
        lines.info(b"%d" % number)
        assert file.getvalue().count(b"\n") == number + 1


def test_in_a_loop_lines_are_written_together_and_soon():
    file = Written()
    lines = Lines(file)

    async def say() -> None:
        for number in range(100):
            lines.info(b"%d" % number)
        assert file.writes == 0
        await asyncio.sleep(5 * TOGETHER_SECONDS)

    asyncio.run(say())
    assert file.writes == 1
    assert file.getvalue().split() == [b"%d" % number for number in range(100)]


def test_lines_of_threads_and_loops_are_whole_and_none_is_lost():
    file = Written()
    lines = Lines(file)

    async def say() -> None:
        for number in range(500):
            lines.info(b"loop %d" % number)
            if number % 50 == 0:
                await asyncio.sleep(0)

    def shout(thread: int) -> None:
        for number in range(500):
            lines.warning(b"thread-%d %d" % (thread, number))

    threads = [threading.Thread(target=shout, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    asyncio.run(say())
    for thread in threads:
        thread.join()
    lines.write()
    said = file.getvalue().decode().splitlines()
    assert len(said) == 2000
    for who in ("loop", "thread-0", "thread-1", "thread-2"):
        assert [line for line in said if line.startswith(who)] == [f"{who} {n}" for n in range(500)]


def test_a_process_may_be_configured_again():
    before = structlog.get_config()
    said = structlog.get_logger()
    try:
        configure()
        said.info("first")
        configure()
        with capture_logs() as lines:
            said.info("second")
    finally:
        structlog.configure(**before)
    assert [line["event"] for line in lines] == ["second"]
