"""Folders that are needed for a while."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from replay.scratch import clear_scratch, scratch

if TYPE_CHECKING:
    from pathlib import Path

KILLED = """
import sys
from pathlib import Path
from replay.scratch import scratch

with scratch(Path(sys.argv[1]), "verify") as folder:
    (folder / "personal").write_text("Ann")
    print("written", flush=True)
    sys.stdin.read()
"""


def left(directory: Path) -> list[str]:
    return [path.name for path in (directory / "scratch").iterdir()]


def test_a_folder_is_gone_when_the_work_is_done_or_fails(tmp_path: Path):
    with scratch(tmp_path, "verify") as folder:
        (folder / "tables").touch()
    (tmp_path / "scratch" / "stray").touch()  # what is not ours is left, and in nobody's way
    with pytest.raises(ZeroDivisionError), scratch(tmp_path, "verify"):
        _ = 1 / 0
    assert left(tmp_path) == ["stray"]


def test_what_somebody_who_was_killed_left_is_removed_and_what_others_use_is_not(tmp_path: Path):
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as working:
        assert working.stdout is not None
        assert working.stdout.readline() == b"written\n"
        with scratch(tmp_path, "export") as ours:
            clear_scratch(tmp_path)
            assert {name.split("-")[0] for name in left(tmp_path)} == {"verify", "export"}
            working.kill()
            working.wait()
            clear_scratch(tmp_path)
            assert left(tmp_path) == [ours.name]
    assert left(tmp_path) == []
