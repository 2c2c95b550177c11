"""Exports of a small base: what is left out, what is hostile, and what an import refuses."""

from __future__ import annotations

import csv
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

import pytest

from cli.session import session
from commands.activity import LogActivity
from commands.base import Command, handle
from commands.contact import CreateContact
from commands.customer import CloseCustomer, CreateCustomer, SetCustomerPreferences
from commands.deal import OpenDeal
from commands.lead import CaptureLead, DisqualifyLead, EngageLead, RetractLead
from commands.pipeline import EXAMPLE_STAGES, DefinePipeline, RevisePipeline
from commands.subject import ForgetContact, ForgetUser
from commands.user import DeactivateUser, RegisterUser
from domain.user import SYSTEM
from eventstore.reads import reads
from eventstore.workspace import Workspace
from eventstore.writer import Context, Writer
from imports.base import Import
from imports.export import DOOR, Export, Exported
from imports.feed import Feed
from imports.recipe import load
from imports.report import Errors
from imports.sheets import Format
from tests.databases import empty_database
from tests.equal_base import base, differences, export, import_
from tests.test_cli import Shell

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


IDS = UUID("2f0a4a52-7b0e-5a63-9d0c-3f6f1d2a9c11")
HOSTILE = "=HYPERLINK(\"http://x\";'click')"
LINES = '=1+1\r\n-2,\t"x"\n\'3\r'


def id_of(name: str) -> UUID:
    return uuid5(IDS, name)


def day(number: int) -> datetime:
    return datetime(2025, 3, number, 9, 30, 0, 123456, tzinfo=UTC)


def ask(workspace: Workspace, story: Sequence[tuple[str, Command[Any], int]]) -> None:
    """Ask commands of records by name, each on a day of March."""
    with Writer(workspace.log) as writer:
        for name, command, on in story:
            context = Context(SYSTEM, IDS, occurred_at=day(on))
            handle(writer, command, id_of(name), context).result()


STAGES = [dict(stage) for stage in EXAMPLE_STAGES]
LATER = [STAGES[0] | {"probability": "0.25"}, *STAGES[1:]]
STORY: list[tuple[str, Command[Any], int]] = [
    ("moses", RegisterUser(name="Moses", email="moses@example.com", team="East"), 1),
    ("sales", DefinePipeline(name="Sales", stages=STAGES), 1),
    ("first", CreateCustomer(name="Acme", owner=id_of("moses")), 2),
    ("deal", OpenDeal(name=HOSTILE, customer_id=id_of("first"), pipeline_id=id_of("sales"),
                      amount="10.50", currency="EUR"), 2),
    ("sales", RevisePipeline(name="Sales", stages=LATER), 3),
    ("first", CloseCustomer(reason="Sold"), 4),
    ("second", CreateCustomer(name="ACME Ltd"), 5),
    ("second", SetCustomerPreferences(preferences={"a": "=1", "b": "2"}), 5),
    ("second", SetCustomerPreferences(preferences={"a": None}), 6),
    ("ann", CreateContact(name="'Ann", email="ann@example.com", customer_id=id_of("second")), 5),
    ("lead", CaptureLead(name=HOSTILE, email="bo@example.com", company="@me", source="-web"), 7),
    ("lead", EngageLead(kind="reply", note=LINES), 8),
    ("lead", EngageLead(kind="reply", note=""), 9),
    ("call", LogActivity(kind="call", direction="inbound", lead_id=id_of("lead"),
                         contact_id=id_of("ann"), owner=id_of("moses"), note=" padded "), 9),
    ("lead", DisqualifyLead(reason="spam", note="+49"), 10),
]  # fmt: skip
"""Two customers of one name, a deal judged by an older revision, and cells that mean harm."""


@pytest.fixture
def there(postgres_url: str, tmp_path: Path) -> Iterator[Workspace]:
    """Another installation, empty."""
    with (
        empty_database(postgres_url) as url,
        Workspace.open(tmp_path / "there", url) as workspace,
    ):
        yield workspace


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def events(workspace: Workspace, name: str) -> list[Any]:
    """What happened to a record."""
    return [recorded.event for recorded in workspace.log.read_stream(id_of(name))]


def rewrite(path: Path, **changes: str) -> None:
    """Change columns of the last row of a file."""
    found = rows(path)
    found[-1] |= changes
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, found[0])
        writer.writeheader()
        writer.writerows(found)


def failed(workspace: Workspace, folder: Path, tmp_path: Path) -> list[str]:
    """Import, and the reasons why rows were not taken."""
    import_(workspace, folder, tmp_path / "errors.csv")
    path = tmp_path / "errors.csv"
    return [row["reason"] for row in rows(path)] if path.exists() else []


@pytest.mark.parametrize("how", Format)
def test_hostile_cells_make_the_journey_as_they_are(
    workspace: Workspace, there: Workspace, tmp_path: Path, how: Format
):
    ask(workspace, STORY)
    files = export(workspace, tmp_path / "files", how)
    assert failed(there, files, tmp_path) == []
    assert differences(base(workspace), base(there)) == {}
    [_, noted, nothing, _] = events(there, "lead")
    assert (noted.note, nothing.note) == (LINES, "")
    [deal] = events(there, "deal")
    assert (deal.name, deal.pipeline_revision, str(deal.probability)) == (HOSTILE, 1, "0.10")
    if how is Format.csv:
        [captured, *_] = rows(files / "lead.csv")
        assert (captured["name"], captured["company"]) == (f"'{HOSTILE}", "'@me")
        assert rows(files / "contact.csv")[0]["name"] == "''Ann"


def test_who_was_forgotten_and_what_was_taken_back_stay_behind_and_are_told(
    workspace: Workspace, there: Workspace, tmp_path: Path
):
    ask(workspace, STORY)
    ask(workspace, [
        ("moses", DeactivateUser(), 11),
        ("moses", ForgetUser(reason="Left"), 11),
        ("ann", ForgetContact(reason="Asked to"), 11),
        ("lead", RetractLead(reason="Imported by mistake"), 11),
        ("late", CaptureLead(name="Late", source="web"), 12),
        ("visit", LogActivity(kind="call", direction="inbound", lead_id=id_of("late"),
                              customer_id=id_of("second")), 12),
    ])  # fmt: skip
    files = export(workspace, tmp_path / "files")
    told = {(row["kind"], row["id"]): row["why"] for row in rows(files / "left_out.csv")}
    assert told["lead", str(id_of("lead"))] == "it was taken back"
    assert told["contact", str(id_of("ann"))] == "who was forgotten is not exported"
    assert ("activity", str(id_of("call"))) in told
    text = "".join(path.read_text(encoding="utf-8") for path in files.iterdir())
    assert "Moses" not in text
    assert "bo@example.com" not in text

    assert failed(there, files, tmp_path) == []
    assert events(there, "first")[0].owner == id_of("moses")
    [registered, deactivated] = events(there, "moses")
    assert (registered.name, deactivated.type) == (str(id_of("moses")), "user.deactivated.v1")
    assert events(there, "lead") == []
    again = export(there, tmp_path / "again")
    for path in again.iterdir():
        assert path.read_bytes() == (files / path.name).read_bytes(), path.name


def test_without_personal_values_ids_stand_for_names(
    workspace: Workspace, there: Workspace, tmp_path: Path
):
    ask(workspace, STORY)
    (tmp_path / "files").mkdir()
    done = Export(workspace.log, tmp_path / "files", Format.csv).run()
    assert done.personal is False
    text = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "files").iterdir())
    assert not any(word in text for word in ("Moses", "Ann,", "example.com", "padded"))
    assert "Without personal values" in text
    assert failed(there, tmp_path / "files", tmp_path) == []
    assert events(there, "lead")[0].name == str(id_of("lead"))
    assert reads(workspace.log, limit=10) == []


def test_an_export_with_personal_values_is_noted_as_a_read(workspace: Workspace, tmp_path: Path):
    ask(workspace, STORY)
    export(workspace, tmp_path / "files", only=("lead",))
    [read] = reads(workspace.log, limit=10)
    assert (read.actor, read.door, read.subjects) == (SYSTEM, DOOR, ())
    assert {"lead.name", "lead.email", "lead.note"} <= {*read.fields}
    assert not any(field.startswith("user.") for field in read.fields)


def exported(workspace: Workspace, folder: Path, **options: Any) -> tuple[Exported, dict[str, Any]]:
    """What an export says, and the commands in its files."""
    folder.mkdir()
    done = Export(workspace.log, folder, Format.csv, personal=True, **options).run()
    found = {path.stem: [row["command"] for row in rows(path)] for path in folder.glob("*.csv")}
    return done, found


def test_an_export_as_of_a_day_holds_what_had_happened(
    workspace: Workspace, there: Workspace, tmp_path: Path
):
    ask(workspace, STORY)
    done, found = exported(workspace, tmp_path / "files", as_of=day(8))
    assert found["lead"] == ["CaptureLead", "EngageLead"]
    assert found["user"] == ["RegisterUser"]
    assert "activity" not in found
    assert (done.rows["lead"], done.left_out) == (2, 0)
    assert failed(there, tmp_path / "files", tmp_path) == []


def test_an_export_known_at_a_position_holds_what_the_log_knew(
    workspace: Workspace, tmp_path: Path
):
    ask(workspace, STORY)
    position = workspace.log.read_stream(id_of("lead"))[0].position
    ask(workspace, [("lead", RetractLead(reason="Imported by mistake"), 20)])
    done, found = exported(workspace, tmp_path / "files", known_at=position)
    assert (found["lead"], done.position) == (["CaptureLead"], position)
    assert "lead" not in exported(workspace, tmp_path / "now")[1]


def test_one_kind_goes_to_a_base_that_has_the_others(
    workspace: Workspace, there: Workspace, tmp_path: Path
):
    ask(workspace, STORY)
    whole = export(workspace, tmp_path / "whole", only=("user", "customer", "pipeline"))
    deals = export(workspace, tmp_path / "deals", only=("deal",))
    assert {path.name for path in deals.iterdir()} == {"deal.csv", "recipe.toml"}
    assert "no" in failed(there, deals, tmp_path)[0]
    import_(there, whole)
    assert "active" in failed(there, deals, tmp_path)[0]  # the customer is closed by now
    everything = export(workspace, tmp_path / "everything")
    with Workspace.open(tmp_path / "third", there.database_url, "third") as third:
        assert failed(third, everything, tmp_path) == []
        assert import_(third, deals).total.unchanged == 1


def test_a_record_that_exists_with_other_content_is_left_alone(
    workspace: Workspace, there: Workspace, tmp_path: Path
):
    ask(workspace, STORY)
    ask(there, [("lead", CaptureLead(name="Somebody else", source="web"), 1)])
    reasons = failed(there, export(workspace, tmp_path / "files"), tmp_path)
    assert len(reasons) == 4
    assert "exists already, and is not the one exported" in reasons[0]
    assert all("is not the one exported" in reason for reason in reasons)
    [event] = events(there, "lead")
    assert event.name == "Somebody else"


def test_an_id_has_to_be_one_and_what_happened_stays(
    workspace: Workspace, there: Workspace, tmp_path: Path
):
    ask(workspace, STORY)
    files = export(workspace, tmp_path / "files")
    broken = shutil.copytree(files, tmp_path / "broken")
    rewrite(broken / "lead.csv", id="L-4711")
    assert failed(there, broken, tmp_path) == ["id: 'L-4711' is no UUID; the recipe keeps this id"]
    assert failed(there, files, tmp_path) == []  # the row that was missing
    rewrite(files / "lead.csv", reason="no_need")
    assert failed(there, files, tmp_path) == [
        "the row was imported before, with other values; what happened stays so"
    ]
    rewrite(files / "lead.csv", number="1")
    assert "is no number after" in failed(there, files, tmp_path)[0]


def test_an_import_that_was_killed_goes_on(workspace: Workspace, there: Workspace, tmp_path: Path):
    ask(workspace, STORY)
    files = export(workspace, tmp_path / "files")

    class Killed(Exception):
        pass

    class Dying(Import):
        def _landed(self, outcome: Any) -> None:
            super()._landed(outcome)
            if outcome.row.order == 9:
                raise Killed

    with Writer(there.log) as writer, pytest.raises(Killed):
        Dying(Feed(load(str(files / "recipe.toml")), files), there.log, writer).run()
    with Errors(None) as errors, Writer(there.log) as writer:
        recipe = load(str(files / "recipe.toml"))
        done = Import(Feed(recipe, files), there.log, writer, errors=errors).run()
    assert done.total.failed == 0
    assert done.total.unchanged > 0
    assert differences(base(workspace), base(there)) == {}


def test_an_export_is_there_whole_or_not_at_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    shell = Shell(tmp_path / "data", capsys)
    with session(shell.data, None, "test") as opened:
        ask(opened.workspace, STORY)
    files = tmp_path / "files"
    told = shell.json("export", "records", "-o", str(files), "--personal", "--only", "lead")
    assert (told["kinds"], told["left_out"], told["personal"]) == ({"lead": 4}, 0, True)
    assert {path.name for path in files.iterdir()} == {"lead.csv", "recipe.toml"}
    assert files.stat().st_mode & 0o077 == 0
    shell("export", "records", "-o", str(files), code=1)
    assert "is there already" in " ".join(shell.err.split())
    shell("export", "records", "-o", str(tmp_path / "none"), "--only", "leads", code=2)

    monkeypatch.setattr("imports.export.recipe_text", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        shell("export", "records", "-o", str(tmp_path / "half"))
    assert {path.name for path in tmp_path.iterdir()} == {"data", "files"}

    monkeypatch.undo()
    said = shell("export", "records", "-o", str(tmp_path / "bare"), "--format", "parquet")
    assert "lead" in said
    assert "Without personal values" in shell.err
