"""How checkpoints get to places elsewhere, which may be slow or away, while sealing goes on."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Protocol

import structlog

from eventstore.anchor import Standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from eventstore.anchor import FileAnchor
    from eventstore.notes import Verifier
    from eventstore.tree import Checkpoint

AGAIN_SECONDS, AGAIN_SECONDS_MAX = 2.0, 300.0
"""How soon it is tried again after a failure; twice as long after each further one."""

CLOSE_SECONDS = 15.0

logger = structlog.get_logger()


class Place(Protocol):
    """Somewhere checkpoints are kept; may block, and raises whatever is in the way."""

    kind: str
    seconds: float
    """How often a checkpoint is kept at most."""

    def keep(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint."""


class Delivery:
    """Brings the newest checkpoint to one place in a thread of its own, until it is kept."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.kept_size: int | None = None
        self.error: Exception | None = None
        self._offered: Checkpoint | None = None
        self._news = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"anchor-{place.kind}", daemon=True)

    def offer(self, checkpoint: Checkpoint) -> None:
        """See `Anchor`."""
        with self._news:
            self._offered = checkpoint
            self._news.notify()
        if not self._thread.is_alive():
            self._thread.start()

    def close(self) -> None:
        """Try once more to keep what was offered last; that takes so long and no longer."""
        with self._news:
            self._closing = True
            self._news.notify()
        if self._thread.is_alive():
            self._thread.join(CLOSE_SECONDS)

    def standing(self) -> Standing:
        """What is kept there, and why no more is."""
        error = type(self.error).__name__ if self.error else None
        return Standing(self.place.kind, self.kept_size, error)

    def _run(self) -> None:
        again = AGAIN_SECONDS
        while (checkpoint := self._next()) is not None:
            try:
                self.place.keep(checkpoint)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
                if self.error is None:
                    logger.warning(
                        "checkpoint not kept", anchor=self.place.kind, reason=type(error).__name__
                    )
                self.error = error
                self._give_back(checkpoint)
                self._rest(again)
                again = min(2 * again, AGAIN_SECONDS_MAX)
            else:
                self.error, self.kept_size, again = None, checkpoint.size, AGAIN_SECONDS
                self._rest(self.place.seconds)

    def _next(self) -> Checkpoint | None:
        """What is to be kept; None when there is nothing more to come."""
        with self._news:
            self._news.wait_for(lambda: self._offered is not None or self._closing)
            checkpoint, self._offered = self._offered, None
            return checkpoint

    def _give_back(self, checkpoint: Checkpoint) -> None:
        with self._news:
            if self._closing:
                self._offered = None
            elif self._offered is None:
                self._offered = checkpoint

    def _rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        with self._news:
            self._news.wait_for(lambda: self._closing, max(0.0, until - time.monotonic()))


class Anchors:
    """The file of a workspace, which always is one, and the places that were declared beside it."""

    def __init__(self, file: FileAnchor, places: Iterable[Place] = ()) -> None:
        self.file = file
        self._deliveries = [Delivery(place) for place in places]

    def offer(self, checkpoint: Checkpoint) -> None:
        """See `Anchor`."""
        self.file.offer(checkpoint)
        for delivery in self._deliveries:
            delivery.offer(checkpoint)

    def newest(self, verifiers: Iterable[Verifier]) -> Checkpoint | None:
        """See `Anchor`; only the file is asked, which is here."""
        return self.file.newest(verifiers)

    def close(self) -> None:
        """See `Anchor`."""
        self.file.close()
        for delivery in self._deliveries:
            delivery.close()

    def standing(self) -> Sequence[Standing]:
        """What each place that was declared keeps."""
        return [delivery.standing() for delivery in self._deliveries]
