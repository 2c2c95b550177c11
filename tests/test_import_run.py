"""Runs of imports: each is listed with its files, who it was and what came of it."""

from __future__ import annotations

import hashlib

import pytest

from domain.import_run import (
    ImportedFile,
    ImportRunEnded,
)
from domain.user import SYSTEM
from eventstore.writer import Writer
from imports.base import Import
from imports.feed import Feed
from imports.rehearsal import Rehearsal
from imports.runs import runs
from tests.imports_shop import DEALS, recipe, run, shop


def test_a_run_tells_its_recipe_its_files_and_what_came_of_it(workspace, tmp_path):
    folder = shop(tmp_path / "shop", [*DEALS, "X,Moses,GTX Pro,Nobody,New,10.02.2024,,,no,"])
    summary, _ = run(workspace, folder)
    [told] = runs(workspace.log)
    assert (told.id, told.state.status) == (summary.run, "ended")
    assert told.started.actor == SYSTEM
    started, ended = told.state.started, told.state.ended
    assert started is not None
    assert (started.recipe, started.title) == ("shop", "A shop")
    deals = (folder / "deals.csv").read_bytes()
    digest = hashlib.sha256(deals).hexdigest()
    assert ImportedFile(file="deals.csv", sha256=digest, bytes=len(deals)) in started.files
    assert len(started.files) == 3
    assert ended == ImportRunEnded(rows=14, refused=1, created=10, updated=0, events=13)


def test_the_same_files_again_are_another_run_in_which_nothing_happened(workspace, tmp_path):
    folder = shop(tmp_path / "shop")
    first, _ = run(workspace, folder)
    again, _ = run(workspace, folder)
    assert [told.id for told in runs(workspace.log)] == [first.run, again.run]
    ended = runs(workspace.log)[1].state.ended
    assert ended == ImportRunEnded(rows=12, refused=0, created=0, updated=0, events=0)


def test_other_files_are_another_run_that_tells_what_it_changed(workspace, tmp_path):
    run(workspace, shop(tmp_path / "shop"))
    deals = [DEALS[0].replace("4500", "4600"), *DEALS[1:], "N,Moses,MG Special,Acme,New,,,,no,"]
    run(workspace, shop(tmp_path / "shop", deals))
    ended = runs(workspace.log)[1].state.ended
    assert ended == ImportRunEnded(rows=14, refused=0, created=1, updated=1, events=4)


def test_a_run_that_was_interrupted_is_the_same_run_when_it_goes_on(workspace, tmp_path):
    folder = shop(tmp_path / "shop")

    class Stopped(Exception):
        pass

    class Interrupted(Import):
        def _landed(self, outcome):
            super()._landed(outcome)
            if self._step(outcome.row).name == "customer":
                raise Stopped

    with Writer(workspace.log) as writer, pytest.raises(Stopped):
        Interrupted(Feed(recipe(folder), folder), workspace.log, writer).run()
    [told] = runs(workspace.log)
    assert (told.state.status, told.as_dict()["ended_at"]) == ("started", None)
    summary, _ = run(workspace, folder)
    [told] = runs(workspace.log)
    assert (told.id, told.state.status) == (summary.run, "ended")
    assert told.state.ended == ImportRunEnded(rows=12, refused=0, created=10, updated=0, events=13)


def test_a_rehearsal_is_no_run(workspace, tmp_path):
    folder = shop(tmp_path / "shop")
    Import(Feed(recipe(folder), folder), workspace.log, Rehearsal(workspace.log)).run()
    assert runs(workspace.log) == []
