"""Waiting for many answers of a writer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventstore.promise import Promise

PATIENCE_SECONDS = 60


def wait(asked: Iterable[Promise]) -> None:
    """Until all are there, whatever they are."""
    for promise in asked:
        promise.outcome(PATIENCE_SECONDS)
