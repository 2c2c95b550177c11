"""The command line, with and without a server: the same questions, the same answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import polars as pl
import pytest

from cli import VERBS, main
from cli.session import Live, Lock, lock, session
from cli.show import value
from commands.base import Command, handle
from commands.lead import AssignLead, CaptureLead, QualifyLead
from commands.user import RegisterUser
from domain.user import SYSTEM
from eventstore.envelope import uuid7
from eventstore.workspace import Workspace
from eventstore.writer import Context, Writer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ANN = UUID("0b5e55ed-0000-4000-8000-000000000001")
LEAD = UUID("1eadface-0000-4000-8000-000000000001")
START_SECONDS_MAX = 60


@dataclass
class Shell:
    """`backstory` run in this process on one data directory."""

    data: Path
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str, code: int = 0) -> str:
        self.capsys.readouterr()
        returned = main([*arguments, "--data", str(self.data)])
        said = self.capsys.readouterr()
        self.err = said.err
        assert returned == code, said.out + said.err
        return said.out

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self(*arguments, "--json", code=code))


def fill(workspace: Workspace) -> None:
    """Ann captured a lead in March 2024 and qualified it a day later."""
    wishes: list[tuple[Command[Any], UUID, UUID, int]] = [
        (RegisterUser(name="Ann Sales", handle="ann", team="east"), ANN, SYSTEM, 1),
        (CaptureLead.model_validate(CaptureLead.example), LEAD, ANN, 2),
        (QualifyLead.model_validate(QualifyLead.example), LEAD, ANN, 3),
        (AssignLead(owner=ANN), LEAD, ANN, 4),
    ]
    with Writer(workspace.log) as writer:
        for command, stream, actor, day in wishes:
            occurred_at = datetime(2024, 3, day, 12, tzinfo=UTC)
            context = Context(actor=actor, correlation_id=uuid7(), occurred_at=occurred_at)
            handle(writer, command, stream, context).result(30)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory of its own, with a lead in it."""
    directory = tmp_path_factory.mktemp("cli") / "data"
    with session(directory, None, "test") as opened:
        fill(opened.workspace)
    return directory


@contextmanager
def served(data: Path) -> Iterator[tuple[subprocess.Popen[str], Live]]:
    """A server in a process of its own."""
    command = [sys.executable, "-m", "cli", "serve", "--data", str(data), "--port", "0"]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, **pipes) as process:
        try:
            yield process, announced(process, data)
        finally:
            process.terminate()
            process.wait(START_SECONDS_MAX)


def announced(process: subprocess.Popen[str], data: Path) -> Live:
    """Where the server is, as soon as it says so."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while (live := Live.read(data)) is None or live.pid != process.pid:
        assert process.poll() is None, process.stdout and process.stdout.read()
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.05)
    return live


@pytest.fixture(scope="module", params=["alone", "served"])
def home(data: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The data directory, first without a server, then with one."""
    if request.param == "alone":
        yield data
        return
    with served(data):
        yield data


@pytest.fixture
def shell(home: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(home, capsys)


def test_history(shell: Shell):
    told = shell.json("history", "1eadface", "--as-of", "2024-03-03")
    assert [one["type"] for one in told["happenings"]] == ["lead.captured.v1", "lead.qualified.v1"]
    assert (told["record"]["status"], told["later"]) == ("qualified", 1)
    assert told["record"]["name"] == "Ann Example"
    seen = shell("history", str(LEAD))
    assert "lead qualified" in seen
    assert "status open → qualified" in seen
    assert f"Ann Sales ({ANN})" in seen


def test_history_as_it_was_known(shell: Shell):
    first = shell.json("history", "1eadface")["happenings"][0]
    then = shell.json("history", "1eadface", "--known-at", str(first["position"]))
    assert len(then["happenings"]) == 1
    assert shell.json("history", "1eadface", "--known-at", "2024-03-31")["happenings"] == []


def test_diff(shell: Shell):
    found = shell.json("diff", "1eadface", "--from", "2024-03-02", "--to", "2024-03-03")
    changes = {change["field"]: (change["old"], change["new"]) for change in found["changes"]}
    assert changes["status"] == ("open", "qualified")
    assert [one["type"] for one in found["happenings"]] == ["lead.qualified.v1"]
    assert "before it began" in shell("diff", "1eadface")
    assert "Nothing happened to the lead" in shell("diff", "1eadface", "--from", "2024-03-31")


def test_why(shell: Shell):
    found = shell.json("why", "1eadface", "status")
    assert (found["value"], found["setter"]["type"]) == ("qualified", "lead.qualified.v1")
    assert found["setter"]["actor_name"] == "Ann Sales"
    assert found["setter"]["occurred_at"].startswith("2024-03-03T12:00")
    seen = shell("why", "1eadface", "owner")
    assert "lead assigned" in seen
    assert "Ann Sales" in seen


def test_what_there_is_not_is_said_in_a_sentence(shell: Shell):
    shell("why", "1eadface", "colour", code=1)
    assert "no field 'colour'" in shell.err
    shell("history", "deadbeef", code=1)
    assert "there is no record deadbeef" in shell.err
    shell("history", "1eadface", "--as-of", "yesterday", code=1)
    assert "'yesterday' is no time" in shell.err
    shell("history", "1eadface", "--as-off", "2024-01-01", code=2)


def test_sql(shell: Shell):
    rows = json.loads(shell("sql", "SELECT id, status, owner FROM lead", "--format", "json"))
    assert rows == [{"id": str(LEAD), "status": "qualified", "owner": str(ANN)}]
    shown = shell("sql", "SELECT l.status, p.name FROM lead l JOIN lead_personal p USING (id)")
    assert "qualified" in shown
    assert "Ann Example" in shown
    csv = shell("sql", "SELECT type FROM event ORDER BY position LIMIT 2", "--format", "csv")
    assert csv.splitlines() == ["type", "user.registered.v1", "lead.captured.v1"]


def test_an_answer_goes_to_a_file(shell: Shell, tmp_path: Path):
    status = "SELECT status, position FROM lead"
    [row] = json.loads(shell("sql", status, "--format", "json"))
    read: dict[str, Any] = {
        "csv": pl.read_csv,
        "json": pl.read_json,
        "parquet": pl.read_parquet,
        "arrow": pl.read_ipc_stream,
    }
    for suffix, reader in read.items():
        file = tmp_path / f"lead.{suffix}"
        shell("sql", status, "-o", str(file))
        assert reader(file).to_dicts() == [row]
        shell("sql", "SELECT nonsense FROM lead", "-o", str(file), code=1)
        assert reader(file).to_dicts() == [row]
    shell("sql", status, "-o", str(tmp_path / "lead.xls"), code=2)
    shell("sql", status, "-o", str(tmp_path / "nowhere" / "lead.csv"), code=2)
    assert {path.suffix[1:] for path in tmp_path.iterdir()} == set(read)


def test_sql_as_it_was(shell: Shell):
    status = "SELECT status FROM lead"
    assert "open" in shell("sql", status, "--as-of", "2024-03-02", "--format", "csv")
    assert shell("sql", status, "--as-of", "2024-03-01", "--format", "csv").splitlines() == [
        "status"
    ]
    captured = shell.json("history", "1eadface")["happenings"][0]["position"]
    assert "open" in shell("sql", status, "--known-at", str(captured), "--format", "csv")


def test_the_catalogue(shell: Shell):
    everything = shell.json("catalog", "--json")
    names = {entry["name"] for entry in everything["entries"]}
    assert {"deal", "deal_at", "deal_between", "win_loss", "deal.won.v1"} <= names
    assert "win_loss.win_rate" in everything["metrics"]
    assert "Dimensions" in shell("catalog")
    told = shell("catalog", "deal")
    assert "deal.amount_changed.v1: amount" in " ".join(told.split())
    rate = shell.json("catalog", "win_loss.win_rate", "--json")
    assert (rate["unit"], rate["lineage"]["columns"]) == ("share", ["closed_deals.outcome"])
    assert "share" in shell("catalog", "win_loss.win_rate")
    shell("catalog", "deel", code=1)


def test_a_chart(shell: Shell, tmp_path: Path):
    file = tmp_path / "funnel.svg"
    shell("chart", "funnel", "-o", str(file))
    asked = shell("sql", "SELECT count(*) AS leads FROM lead", "--format", "json")
    [captured] = json.loads(asked)
    drawn = file.read_text()
    assert "From lead to sale" in drawn
    assert f"{captured['leads']} \u00b7 100%" in " ".join(drawn.split())
    shell("chart", "funnel", "-o", str(file), "--as-of", "1999-12-31", code=1)
    assert file.read_text() == drawn


def test_sql_looks_and_does_not_touch(shell: Shell):
    shell("sql", "DELETE FROM lead", code=1)
    assert "one SELECT statement" in shell.err
    shell("sql", "SELECT nonsense FROM lead", code=1)
    assert '"nonsense" not found' in shell.err
    shell("sql", "FROM read_csv('/etc/passwd')", code=1)


def test_verify_and_rebuild(shell: Shell):
    verdict = shell.json("verify")
    assert (verdict["good"], verdict["findings"]) == (True, [])
    assert all(verdict["tables"].values())
    folder = shell.data / "tables"
    before = (folder / "current").readlink()
    rebuilt = shell.json("rebuild")
    assert all(rebuilt["same"].values())
    after = (folder / "current").readlink()
    assert after != before
    kept = {"current", "previous", before.name, after.name}
    assert {path.name for path in folder.iterdir()} == kept
    assert "Verified." in shell("verify", "--models")
    assert "qualified" in shell("sql", "SELECT status FROM lead")


def test_learners_are_at_the_end_of_the_log_after_learn(shell: Shell):
    end = shell.json("history", "1eadface")["happenings"][-1]["position"]
    shell("learn")
    said = "SELECT count(*) AS scores, max(cause_position) AS last FROM score_change"
    (told,) = json.loads(shell("sql", said, "--format", "json"))
    assert told["scores"] > 0
    assert told["last"] == end


def test_keys_are_made_listed_and_ended(shell: Shell):
    made = shell.json("key", "create", "--actor", "ann", "--label", "for tests")
    assert made["key"].startswith("bk_")
    assert (made["actor"], made["personal"]) == (str(ANN), False)
    shell("key", "create", "--actor", "0b5e55ed", "--label", "all", "--personal")
    keys = shell.json("key", "list")
    (found,) = (key for key in keys if key["label"] == "for tests" and not key["revoked_at"])
    assert "Ann Sales" in shell("key", "list")
    shell("key", "revoke", found["id"])
    shell("key", "revoke", found["id"], code=1)
    shell("key", "create", "--actor", "nobody", "--label", "x", code=1)
    assert "no user 'nobody'" in shell.err


def test_what_somebody_wrote_does_not_steer_the_terminal():
    assert value("\x1b[2J\x9bgone\x7f\ta\nb") == "␛[2J␡gone␡\ta\nb"


def test_every_verb_has_help_with_examples(capsys: pytest.CaptureFixture[str]):
    assert main(["--help"]) == 0
    contents = capsys.readouterr().out
    assert "Exit codes" in contents
    for name, verb in ((n, v) for panel in VERBS.values() for n, v in panel.items()):
        assert name in contents
        loaded = verb.load(name)
        assert loaded.help.startswith(verb.help.rstrip("."))
        for each in getattr(loaded, "commands", {name: loaded}).values():
            assert "$ backstory" in each.epilog or "backstory " in each.epilog, each.name


def test_a_database_that_is_not_there_is_said_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    assert main(["key", "list", "--data", str(tmp_path), "--database-url", nowhere]) == 3
    assert "the database does not answer" in capsys.readouterr().err


def test_a_verb_waits_until_another_one_has_ended(tmp_path: Path):
    other, said = Lock(tmp_path), []
    assert other.take("import")

    def hear(text: str) -> None:
        said.append(text)
        other.close()

    with ExitStack() as stack:
        assert lock(stack, tmp_path, "sql", hear) is None
    assert said == [
        f"Waiting for `backstory import` (process {os.getpid()}), which works in {tmp_path} …"
    ]


def test_what_a_dead_server_left_behind_is_not_believed(tmp_path: Path):
    Live(os.getpid(), "http://127.0.0.1:1", "token", "postgresql://").write(tmp_path)
    with ExitStack() as stack:
        assert lock(stack, tmp_path, "sql", print) is None
        assert not (tmp_path / "serve.json").exists()
