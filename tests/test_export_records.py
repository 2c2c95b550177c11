"""Export, then import: an equal base. What equal means is said in `imports.again`."""

from __future__ import annotations

import csv
import filecmp
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cli.demo.history import history, tell
from eventstore.workspace import Workspace
from eventstore.writer import Context, Writer
from imports.asking import columns_of_kind
from imports.files import MARK
from imports.sheets import FORMULA, Format
from tests.busy_weeks import busy_weeks
from tests.databases import empty_database
from tests.demo_log import END
from tests.equal_base import base, differences, export, import_
from tests.random_base import random_base

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.equal_base import Rows


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Workspace]:
    """The first weeks of the demo's company, and then some in which everything happens."""
    with (
        empty_database(postgres_url) as url,
        Workspace.open(tmp_path_factory.mktemp("grown"), url) as workspace,
    ):
        with Writer(workspace.log) as writer:
            tell(history(END)[:300], writer, lambda _: None)
            answers = [
                writer.submit(
                    one.stream,
                    one.command.of,
                    one.command.decided,
                    Context(one.actor, one.command_id, occurred_at=one.at),
                    one.command.looks(),
                )
                for one in busy_weeks(END, 60, 1_500)
            ]
            assert any(answer.exception() is None for answer in answers)
        yield workspace


@pytest.fixture(scope="module")
def story(grown: Workspace) -> dict[str, Rows]:
    """All that its tables say."""
    return base(grown)


@pytest.fixture(scope="module")
def written(grown: Workspace, tmp_path_factory: pytest.TempPathFactory) -> dict[Format, Path]:
    """Its records, in each format."""
    folder = tmp_path_factory.mktemp("records")
    return {how: export(grown, folder / how, how) for how in Format}


def same_files(one: Path, other: Path) -> None:
    names = {path.name for path in one.iterdir()}
    assert names == {path.name for path in other.iterdir()}
    assert {*filecmp.cmpfiles(one, other, names, shallow=False)[0]} == names


@pytest.mark.parametrize("how", Format)
def test_a_base_that_was_exported_and_imported_is_equal_in_all_its_history(
    story: Any, written: dict[Format, Path], how: Format, workspace: Workspace, tmp_path: Path
):
    summary = import_(workspace, written[how], tmp_path / "errors.csv")
    assert (summary.total.failed, summary.total.rows) == (0, summary.total.imported)
    assert differences(story, base(workspace)) == {}

    same_files(written[how], export(workspace, tmp_path / "again", how))
    position = workspace.log.last_position()
    again = import_(workspace, written[how]).total
    assert (again.unchanged, again.events, again.failed) == (again.rows, 0, 0)
    assert workspace.log.last_position() == position + 2  # that there was another run


@settings(max_examples=3)
@given(seed=st.integers(0, 2**32), how=st.sampled_from(Format))
@example(seed=370, how=Format.csv)  # a contact is archived with one that is merged into it
def test_whatever_base_came_about_is_equal_after_the_journey(
    tmp_path_factory: pytest.TempPathFactory, postgres_url: str, seed: int, how: Format
):
    folder = tmp_path_factory.mktemp("random")
    with (
        empty_database(postgres_url) as url,
        Workspace.open(folder / "here", url, "here") as here,
        Workspace.open(folder / "there", url, "there") as there,
    ):
        granted, _ = random_base(here, seed, 600)
        assert granted > 50
        files = export(here, folder / "files", how)
        assert import_(there, files, folder / "errors.csv").total.failed == 0
        assert differences(base(here), base(there)) == {}
        same_files(files, export(there, folder / "again", how))
        assert import_(here, files).total.events == 0


@settings(max_examples=2, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_what_is_left_of_a_base_in_which_much_was_taken_back_is_imported_whole(
    tmp_path_factory: pytest.TempPathFactory, postgres_url: str, seed: int
):
    folder = tmp_path_factory.mktemp("ended")
    with (
        empty_database(postgres_url) as url,
        Workspace.open(folder / "here", url, "here") as here,
        Workspace.open(folder / "there", url, "there") as there,
    ):
        random_base(here, seed, 900, ending=True)
        files = export(here, folder / "files")
        assert import_(there, files, folder / "errors.csv").total.failed == 0
        (files / "left_out.csv").unlink(missing_ok=True)
        same_files(files, export(there, folder / "again"))


def test_an_import_into_the_base_that_was_exported_changes_nothing(
    grown: Workspace, written: dict[Format, Path]
):
    position = grown.log.last_position()
    done = import_(grown, written[Format.csv]).total
    assert (done.unchanged, done.events, done.failed) == (done.rows, 0, 0)
    runs = [e for e in grown.log.read(position) if e.event.type.startswith("import_run.")]
    assert grown.log.last_position() - position == len(runs)


@pytest.mark.parametrize("how", Format)
def test_an_export_twice_gives_the_same_bytes(
    grown: Workspace, written: dict[Format, Path], how: Format, tmp_path: Path
):
    same_files(written[how], export(grown, tmp_path / "twice", how))


def test_no_cell_of_text_is_a_formula(workspace: Workspace, tmp_path: Path):
    random_base(workspace, 7, 900)
    files = export(workspace, tmp_path / "files")
    marked = 0
    for path in files.glob("*.csv"):
        kinds = columns_of_kind(path.stem, personal=True)
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                for name, cell in row.items():
                    if kinds[name] not in {"decimal", "integer", "number"}:
                        assert not cell.startswith(FORMULA[:-1]), (path.name, name, cell)
                        marked += cell.startswith(MARK)
    assert marked > 5


def test_values_of_a_parquet_file_have_types(written: dict[Format, Path]):
    schema = pq.read_schema(written[Format.parquet] / "deal.parquet")
    types = {name: str(schema.field(name).type) for name in schema.names}
    assert types["at"] == "timestamp[us, tz=UTC]"
    assert (types["amount"], types["expected_close"]) == ("decimal128(18, 2)", "date32[day]")
    assert (types["number"], types["name"]) == ("int64", "string")
