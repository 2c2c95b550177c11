"""A training on disk, so that a learner need not learn the whole log again to go on.

    directory/models/lead_conversion-000000012345.snapshot

One line of JSON says what it is, the pickle follows. A snapshot is a cache: when it is damaged, of
other code, or of another log, it is passed over, and the log is learned from the one before or
from the beginning. It is read from the workspace's own directory only, for to load a pickle is
to run it.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from eventstore.log import Log
    from learning.base import Training

KEPT = 2


def save(directory: Path, training: Training, position: int, log: Log) -> int:
    """Write what `training` is at `position`, whole or not at all; returns its size in bytes."""
    state = pickle.dumps(training, protocol=5)
    about = _about(training, position, log) | {"sha256": hashlib.sha256(state).hexdigest()}
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = training.learner.name
    draft = directory / f"{name}.{os.getpid()}.draft"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(json.dumps(about).encode() + b"\n" + state)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(directory / f"{name}-{position:012}.snapshot")
    for _, old in sorted(_snapshots(directory, name), reverse=True)[KEPT:]:
        old.unlink(missing_ok=True)
    return len(state)


def restore(directory: Path, fresh: Training, until: int, log: Log) -> tuple[Training, int]:
    """The newest training of the same learner, code and log, not beyond `until`; else `fresh`."""
    for position, path in sorted(_snapshots(directory, fresh.learner.name), reverse=True):
        if position <= until:
            head, _, state = path.read_bytes().partition(b"\n")
            about = _about(fresh, position, log) | {"sha256": hashlib.sha256(state).hexdigest()}
            if head == json.dumps(about).encode():
                return cast("Training", pickle.loads(state)), position  # noqa: S301 - our own file
    return fresh, 0


def _about(training: Training, position: int, log: Log) -> dict[str, Any]:
    return {
        "learner": training.learner.name,
        "version": training.learner.version,
        "position": position,
        "event_id": str(_event_at(position, log)),
        "code": _code(),
    }


def _event_at(position: int, log: Log) -> UUID | None:
    """The event at a position: another log would have another one there."""
    found = next(log.read(after=position - 1, until=position, limit=1), None)
    return found.event_id if found else None


@cache
def _code() -> str:
    """What turns events into weights, in short: a change of any of it makes a snapshot useless."""
    digest = hashlib.sha256(f"{sys.version}|{version('river')}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _snapshots(directory: Path, name: str) -> Iterator[tuple[int, Path]]:
    for path in directory.glob(f"{name}-*.snapshot"):
        yield int(path.stem.removeprefix(f"{name}-")), path
