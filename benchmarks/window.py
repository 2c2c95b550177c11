"""The stretch of time that counts, as the process that makes the requests keeps it.

It prints `go` when the warm-up is over, and one line of JSON when the time is.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from benchmarks.base import percentile

if TYPE_CHECKING:
    from types import TracebackType


class Window:
    """Notes how long answers took that came after the warm-up. Safe in threads."""

    def __init__(self, seconds: float, warm_up: float) -> None:
        self.seconds = seconds
        self.warm_up = warm_up
        self.waits: list[float] = []
        self.more: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self.opens = time.perf_counter() + self.warm_up
        self.closes = self.opens + self.seconds
        announcing = threading.Timer(self.warm_up, self._say, ["go"])
        announcing.daemon = True
        announcing.start()
        return self

    @property
    def over(self) -> bool:
        """Whether it is time to stop."""
        return time.perf_counter() >= self.closes

    def note(self, began: float) -> bool:
        """An answer came, to what was asked at `began`; False when it is time to stop."""
        now = time.perf_counter()
        if self.opens <= now < self.closes:
            self.waits.append(now - began)
        return now < self.closes

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            figures = {
                "per_second": len(self.waits) / self.seconds,
                "p50_ms": percentile(self.waits, 0.5) * 1000,
                "p99_ms": percentile(self.waits, 0.99) * 1000,
                "answers": len(self.waits),
            }
            self._say(json.dumps(figures | self.more))

    def _say(self, line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
