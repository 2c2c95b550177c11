"""Folders for tables that are needed for a while: gone afterwards, whatever happens.

DIR/scratch/
└── verify-…/       locked while somebody works in it; the lock ends with a process that is killed
"""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def scratch(directory: Path, purpose: str) -> Iterator[Path]:
    """An empty folder beside the tables of a workspace, for as long as somebody works in it."""
    (directory / "scratch").mkdir(exist_ok=True)
    with ExitStack() as working:
        with _cleared(directory) as folder:
            made = TemporaryDirectory(prefix=f"{purpose}-", dir=folder, ignore_cleanup_errors=True)
            working.enter_context(made)
            working.enter_context(_locked(Path(made.name)))
        yield Path(made.name)


def clear_scratch(directory: Path) -> None:
    """Remove what whoever was killed left behind: there may be personal values in it."""
    if (directory / "scratch").exists():
        with _cleared(directory):
            pass


@contextmanager
def _cleared(directory: Path) -> Iterator[Path]:
    """The folder of these folders, but for those of the living; nobody adds to it meanwhile."""
    folder = directory / "scratch"
    with _locked(folder):
        for left in filter(Path.is_dir, folder.iterdir()):
            with suppress(BlockingIOError, FileNotFoundError), _locked(left, wait=False):
                shutil.rmtree(left)
        yield folder


@contextmanager
def _locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)
