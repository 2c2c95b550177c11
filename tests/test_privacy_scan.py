"""Everything on disk is searched: all is found before somebody is forgotten, nothing after."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from cli import main
from cli.session import session
from commands.subject import ForgetCustomer
from eventstore.workspace import Workspace
from eventstore.writer import Writer
from replay.backup import write
from replay.scan import ScanImpossible, Wanted
from replay.tables import catch_up, open_tables
from tests.test_forgetting import ACME, ANN, BOB, BODY, EMAIL, NAME, STORY, WHY, do

if TYPE_CHECKING:
    from pathlib import Path


def told(workspace: Workspace) -> None:
    with Writer(workspace.log) as writer:
        for stream, command in STORY:
            do(writer, stream, command)
    with closing(open_tables(workspace)) as tables:
        catch_up(tables, workspace.log, workspace.log.last_position())


def asked(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    capsys.readouterr()
    returned = main(["privacy", "scan", str(ACME), "--json", *words])
    said = capsys.readouterr()
    assert returned == code, said
    return json.loads(said.out)


def test_all_is_found_before_and_nothing_after(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data, backup, kept = tmp_path / "data", tmp_path / "backup", tmp_path / "wanted.json"
    with session(data, None, "test") as opened:
        told(opened.workspace)
        write(opened.workspace, backup)
    here = ("--data", str(data), "--also", str(backup))
    before = asked(capsys, *here, "--keep", str(kept))
    assert before["good"]
    places = {(place["place"], place["kind"]) for place in before["found"]}
    assert ("postgresql: backstory_default.subject_key", "key") in places
    assert any("personal-" in place and kind == "value" for place, kind in places)
    assert any("postgres/cluster/base" in place and kind == "key" for place, kind in places)
    assert any("pg_wal" in place and kind == "key" for place, kind in places)
    assert any("subject_key-" in place and kind == "key" for place, kind in places)
    assert kept.stat().st_mode & 0o777 == 0o600

    with session(data, None, "test") as opened, Writer(opened.workspace.log) as writer:
        do(writer, ACME, ForgetCustomer(reason=WHY))
    after = asked(capsys, *here, "--kept", str(kept), code=1)
    left = {(place["place"], place["kind"]) for place in after["found"]}
    assert any("pg_wal" in place for place, _ in left), "deleted is not gone"
    with session(data, None, "test") as opened:
        write(opened.workspace, backup)
    assert main(["privacy", "scrub", "--data", str(data)]) == 0
    assert asked(capsys, *here, "--kept", str(kept)) | {"bytes": 0} == {
        "good": True,
        "found": [],
        "missing": [],
        "bytes": 0,
    }
    assert main(["verify", "--data", str(data)]) == 0


def test_what_is_others_too_is_not_looked_for(workspace: Workspace):
    told(workspace)
    wanted = Wanted.of(workspace, ACME)
    assert {NAME, EMAIL, BODY} <= set(wanted.texts)
    assert str(ANN) in wanted.record_ids
    assert str(BOB) not in wanted.record_ids
    with Writer(workspace.log) as writer:
        do(writer, ACME, ForgetCustomer(reason=WHY))
    with pytest.raises(ScanImpossible, match="may be forgotten"):
        Wanted.of(workspace, ACME)
