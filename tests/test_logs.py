"""Lines of the log are whole, in order, and written together where that saves the loop time."""

from __future__ import annotations

import asyncio
import io
import json
import sys
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import structlog
from structlog.testing import capture_logs

from eventstore.logs import TOGETHER_SECONDS, Lines, configure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOON = timedelta(seconds=60)


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


@pytest.fixture
def said(monkeypatch) -> Iterator[Callable[[], list[Any]]]:
    """What programs get to read of the lines of this process."""
    before, file = structlog.get_config(), io.BytesIO()
    monkeypatch.setattr(sys, "__stderr__", io.TextIOWrapper(file))
    yield lambda: [json.loads(line) for line in file.getvalue().splitlines()]
    structlog.configure(**before)


def test_a_line_says_what_happened_how_grave_it_is_and_when(said):
    configure()
    log = structlog.get_logger()
    log.info("command", stream=UUID(int=7), share=Decimal("0.5"))
    log.bind(process="learn").warning("ended", code=1)
    first, second = said()
    assert abs(datetime.now(UTC) - datetime.fromisoformat(first.pop("timestamp"))) < SOON
    assert first == {
        "event": "command",
        "stream": str(UUID(int=7)),
        "share": "Decimal('0.5')",
        "level": "info",
    }
    assert (second["event"], second["level"]) == ("ended", "warning")
    assert (second["process"], second["code"]) == ("learn", 1)


def test_an_exception_is_said_with_where_it_came_from(said):
    configure()
    try:
        int("nobody")
    except ValueError:
        structlog.get_logger().exception("not taken", number=3)
    [line] = said()
    assert (line["event"], line["level"], line["number"]) == ("not taken", "error", 3)
    assert line["exception"].startswith("Traceback ")
    assert line["exception"].endswith("with base 10: 'nobody'")


def test_who_asks_for_quiet_hears_warnings_only(said):
    configure(quiet=True)
    structlog.get_logger().info("command")
    structlog.get_logger().warning("ended")
    assert [line["event"] for line in said()] == ["ended"]


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
