"""The disk of PostgreSQL is full: it is said what to do, and nothing acknowledged is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent.parent
APART = ["unshare", "--mount"]


def no_mounting() -> str:
    """Why no disk can be mounted here; empty when one can."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return "only root, with unshare(1), can mount a small disk"
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tempfile.gettempdir()]
    trial = subprocess.run([*APART, *mount], capture_output=True, text=True, check=False)
    return f"no disk can be mounted here: {trial.stderr.strip()}" if trial.returncode else ""


pytestmark = pytest.mark.skipif(bool(no_mounting()), reason=no_mounting() or "-")


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="disk-") as path:
        yield Path(path)


def seen(directory: Path, what: str) -> dict[str, Any]:
    """What a program saw whose disk, for the tables or the journal, was full for a while."""
    program = [sys.executable, "-m", "tests.chaos.small_disk", str(directory), what]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*APART, *program], capture_output=True, text=True, env=env, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_tables_that_cannot_grow(directory: Path):
    found = seen(directory, "tables")
    assert found["errors"] == ["StorageFull"]
    assert "nothing was done. Free space there" in found["said"][0]
    assert "No space left on device" in found["said"][0]
    assert found["survived"]
    nothing_lost(found)


def test_a_journal_that_cannot_grow(directory: Path):
    """PostgreSQL gives up in mid-commit; it has to be started again when there is room."""
    found = seen(directory, "journal")
    assert set(found["errors"]) <= {"OutcomeUnknown", "Unavailable"}
    assert "sk again" in found["said"][0]
    nothing_lost(found)


def nothing_lost(found: dict[str, Any]) -> None:
    assert found["acknowledged"] > 100
    assert (found["lost"], found["doubled"]) == (0, 0)
    assert found["versions"]
    assert found["retried"] > 0
