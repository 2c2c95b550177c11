"""What a process says while it runs: one line per happening, on standard error."""

from __future__ import annotations

import sys
from typing import BinaryIO, cast

import orjson
import structlog


def configure() -> None:
    """Lines for people on a terminal, JSON for programs elsewhere."""
    renderer: structlog.typing.Processor
    factory: structlog.PrintLoggerFactory | structlog.BytesLoggerFactory
    # The stream of the process itself: what stands in for it now may be closed later.
    stderr = sys.__stderr__ or sys.stderr
    if stderr.isatty():
        renderer = structlog.dev.ConsoleRenderer()
        factory = structlog.PrintLoggerFactory(stderr)
    else:
        renderer = structlog.processors.JSONRenderer(serializer=orjson.dumps)
        factory = structlog.BytesLoggerFactory(cast("BinaryIO", stderr.buffer))
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
