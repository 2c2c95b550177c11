"""`backstory audit`, as an auditor uses it."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from cli.session import session
from eventstore.merkle import check_consistency, check_inclusion
from eventstore.notes import Verifier
from eventstore.tree import Checkpoint
from tests.test_cli import Shell, fill

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def raw(text: str) -> bytes:
    return base64.b64decode(text)


def test_an_auditor_seals_proves_and_finds_what_was_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    data, kept = tmp_path / "data", tmp_path / "kept.txt"
    shell = Shell(data, capsys)
    with session(data, None, "test") as opened:
        fill(opened.workspace)
        events = [str(recorded.event_id) for recorded in opened.workspace.log.read()]

    assert "Not sealed yet: 4 events" in shell("audit", "verify")
    shell("audit", "checkpoint", code=1)
    assert "Nothing was sealed yet" in shell.err
    shell("audit", "prove", events[0], code=1)

    note = shell("audit", "seal")
    assert shell("audit", "checkpoint") == note
    key = shell("audit", "keys").strip()
    checkpoint = Checkpoint.parse(note, [Verifier.parse(key)])
    assert checkpoint.size == 4
    kept.write_text(note)
    verdict = shell.json("audit", "verify", "--checkpoint", str(kept), "--key", key)
    assert (verdict["good"], verdict["size"], verdict["tail"]) == (True, 4, None)

    proof = json.loads(shell("audit", "prove", events[2]))
    path = [raw(text) for text in proof["hashes"]]
    check_inclusion(raw(proof["leaf_hash"]), proof["index"], proof["size"], path, checkpoint.root)
    proof = json.loads(shell("audit", "continues", "3"))
    path = [raw(text) for text in proof["hashes"]]
    check_consistency(3, 4, raw(proof["old_root"]), checkpoint.root, path)
    shell("audit", "continues", "5", code=1)
    assert "4 events are sealed" in shell.err

    with session(data, None, "test") as opened, opened.workspace.log.cursor() as cursor:
        cursor.execute("DELETE FROM log_events WHERE event_id = %s", (events[-1],))
        cursor.execute("DELETE FROM log_tile")
        cursor.execute("DELETE FROM log_checkpoint")
    (data / "checkpoints.jsonl").unlink()
    assert shell.json("audit", "verify")["good"]  # whoever keeps nothing elsewhere sees nothing
    said = shell("audit", "verify", "--checkpoint", str(kept), code=1)
    assert "1 of 4 events that were signed are missing" in said


def test_keys_are_rotated(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    shell = Shell(tmp_path, capsys)
    (first,) = shell("audit", "keys").split()
    assert shell("audit", "keys", "--rotate").split()[0] == first
    assert len(shell("audit", "keys", "--rotate", "--retire").split()) == 3
    shell("audit", "keys", "--retire", code=2)


def test_a_file_that_is_no_checkpoint_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    wrong = tmp_path / "wrong"
    wrong.write_bytes(b"\xff\xfe")
    Shell(tmp_path / "data", capsys)("audit", "verify", "--checkpoint", str(wrong), code=2)


def test_a_backup_is_written_checked_and_restored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    data, new, folder = tmp_path / "data", tmp_path / "new", str(tmp_path / "backup")
    shell, other = Shell(data, capsys), Shell(new, capsys)
    with session(data, None, "test") as opened:
        fill(opened.workspace)
    said = shell("backup", folder)
    assert "4 events up to position" in said
    key = shell("audit", "keys").strip()
    assert "4 events in 1 segments" in shell("audit", "segments", folder)
    assert shell.json("audit", "segments", folder, "--key", key)["size"] == 4
    assert shell.json("backup", folder)["size"] == 4
    assert shell.json("rebuild", "--from-segments", folder)["position"] > 0
    shell("rebuild", "--from-segments", folder, "--parts", "2", code=2)

    other("restore", folder, code=1)
    assert "put master.key of the old installation" in other.err
    for name in ("master.key", "signing.key"):
        new.mkdir(exist_ok=True)
        (new / name).write_bytes((data / name).read_bytes())
    done = other.json("restore", folder)
    assert done["size"] == 4
    assert done["root"] in said.replace("\n", "")
    assert "Verified." in other("verify")
    assert "events in this log already" in (other("restore", folder, code=1) or other.err)
    (path,) = (tmp_path / "backup").glob("segment-*")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    shell("audit", "segments", folder, code=1)
    assert path.name in shell.err
