"""Rows that may be records there are already: found, told, and never merged in silence."""

from __future__ import annotations

import csv
import tomllib
from typing import TYPE_CHECKING, Any
from uuid import uuid5

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from commands.base import handle
from commands.contact import CreateContact, RenameContact
from domain.user import SYSTEM
from eventstore.envelope import uuid7
from eventstore.workspace import Workspace
from eventstore.writer import Context, Writer
from imports import apart
from imports.apart import Process, ProcessLost
from imports.base import Import
from imports.feed import IMPORTS, Feed
from imports.likeness import keys, likeness, score, traits
from imports.recipe import WEIGHTS, Recipe
from imports.rehearsal import Rehearsal
from imports.report import Candidates, Errors, Progress

if TYPE_CHECKING:
    from pathlib import Path

    from imports.report import Tally

RECIPE = """
name = "fair"
title = "Cards from a fair"
[[step]]
name = "lead"
file = "cards.csv"
key = "id"
similar = { SIMILAR }
[[step.ask]]
command = "CaptureLead"
[step.ask.fields]
name = "name"
email = "email"
phone = "phone"
company = "company"
source = { value = "fair" }
"""
HEADER = "id,name,email,phone,company"
ANN = "1,Ann Miller,ann.miller@acme.example.com,+49 30 1234567,Acme GmbH"
ANN_MISTYPED = "2,Anne Mliler,ann.miller@acme-group.example.com,030-1234567,ACME"
BEN = "3,Ben Miller,ben@acme.example.com,+49 30 7654321,Acme GmbH"
NAMESPAKE = "4,Ann Miller,am@other.example.org,+1 555 010 9999,Other Inc"


def run(
    workspace: Workspace,
    folder: Path,
    *rows: str,
    similar: str = "",
    dry: bool = False,
    progress: Progress | None = None,
) -> tuple[Tally, list[dict[str, str]], list[dict[str, str]]]:
    """Import cards; the counts, the candidates and the errors."""
    recipe = Recipe.model_validate(tomllib.loads(RECIPE.replace("SIMILAR", similar)))
    file = folder / "cards.csv"
    file.write_text("\n".join((HEADER, *rows, "")), encoding="utf-8")
    told, failed = folder / "candidates.csv", folder / "errors.csv"
    with (
        Candidates(told) as candidates,
        Errors(failed) as errors,
        Writer(workspace.log) as live,
    ):
        writer: Any = Rehearsal(workspace.log) if dry else live
        work = Import(
            *(Feed(recipe, file), workspace.log, writer),
            errors=errors,
            candidates=candidates,
            progress=progress,
        )
        total = work.run().total
    return total, lines(told), lines(failed)


def lines(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("dry", [False, True])
def test_a_row_like_another_of_the_file_is_told_and_imported(workspace, tmp_path, dry):
    total, [told], errors = run(workspace, tmp_path, ANN, BEN, NAMESPAKE, ANN_MISTYPED, dry=dry)
    assert (total.imported, total.similar, total.left_out, errors) == (4, 1, 0, [])
    assert (told["row"], told["candidate_row"], told["then"]) == ("5", "2", "import")
    ann = uuid5(uuid5(IMPORTS, "fair"), "lead\x1f1")
    assert (told["candidate"], told["candidate_id"]) == ("lead", str(ann))
    assert float(told["score"]) >= 0.85
    assert "phone 1.00" in told["why"]
    assert "Anne Mliler" in told["record"]


def test_a_recipe_may_leave_such_rows_out(workspace, tmp_path):
    rows = (ANN, ANN_MISTYPED, BEN)
    total, told, _ = run(workspace, tmp_path, *rows, similar='then = "skip"')
    assert (total.imported, total.similar, total.left_out, len(told)) == (2, 1, 1, 1)
    assert workspace.log.last_position() == 4  # two records, and the run
    again, told, _ = run(workspace, tmp_path, *rows, similar='then = "skip"')
    assert (again.unchanged, again.left_out, len(told)) == (2, 1, 1)


def test_a_row_is_not_left_out_for_one_that_was_refused(workspace, tmp_path):
    run(workspace, tmp_path, ANN)
    same_address = ANN.replace("1,", "5,", 1).replace("Acme", "Zeta").replace("1234567", "99")
    like_that = same_address.replace("5,", "6,", 1).replace("ann.m", "anna.m")
    total, told, errors = run(
        workspace, tmp_path, same_address, like_that, similar='then = "skip", at_least = 0.95'
    )
    assert (total.imported, total.failed, told) == (1, 1, [])
    assert "already has this lead.email" in errors[0]["reason"]


def test_a_row_that_comes_twice_is_looked_for_once(workspace, tmp_path):
    total, [told], _ = run(workspace, tmp_path, ANN, ANN_MISTYPED, ANN_MISTYPED)
    assert (total.imported, total.unchanged, total.similar, told["row"]) == (2, 1, 1, "3")


def many_cards(people: int) -> list[str]:
    """Cards of people, each followed by one with a typing error, and some that are refused."""
    cards: list[str] = []
    for number in range(people):
        end = f"+49 30 {1_000_000 + number},Acme {number % 7} GmbH"
        cards.append(f"{number},Ann Mill{number}er,ann{number}@acme.example.com,{end}")
        email = f"ann{number}@acme.example.com" if number % 3 == 0 else ""
        cards.append(f"{number}b,Ann Mil{number}ler,{email},{end}")
    return cards


def test_the_same_is_told_whoever_looks_for_it(workspace, tmp_path, monkeypatch):
    cards = many_cards(700)
    total, told, errors = run(workspace, tmp_path, *cards)
    monkeypatch.setattr(apart, "BYTES_MIN", 0)
    with Workspace.open(tmp_path, workspace.database_url, "apart") as other:
        assert run(other, tmp_path, *cards) == (total, told, errors)
        again, told_again, _ = run(other, tmp_path, *cards[::2], ANN_MISTYPED)
    assert (total.imported, total.failed) == (700 + 466, 234)
    assert {int(one["candidate_row"]) for one in told} == set(range(2, 1402, 2))
    assert (again.unchanged, again.similar, told_again) == (700, 0, [])


def test_a_process_that_looks_and_is_killed_ends_the_import(workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(apart, "BYTES_MIN", 0)
    say = Process.say

    def say_and_kill(process, thing):
        say(process, thing)
        if isinstance(thing, list) and len(thing) == 500:  # notes
            for child in psutil.Process().children():
                if "imports.known_child" in child.cmdline():
                    child.kill()

    monkeypatch.setattr(Process, "say", say_and_kill)
    cards = many_cards(700)
    with pytest.raises(ProcessLost, match="Import again"):
        run(workspace, tmp_path, *cards)
    monkeypatch.setattr(Process, "say", say)
    total, _, _ = run(workspace, tmp_path, *cards)
    assert (total.rows, total.failed) == (1_400, 234)
    assert total.unchanged > 0


class BrokenOff(Progress):
    """Somebody has seen enough, and presses Ctrl-C."""

    def done(self, rows: int) -> None:
        raise KeyboardInterrupt(rows)


@pytest.mark.parametrize("bytes_min", [0, apart.BYTES_MIN])
def test_what_an_import_took_before_it_was_broken_off_is_told(
    workspace, tmp_path, monkeypatch, bytes_min
):
    monkeypatch.setattr(apart, "BYTES_MIN", bytes_min)
    with pytest.raises(KeyboardInterrupt, match="500"):
        run(workspace, tmp_path, *many_cards(700), progress=BrokenOff())
    assert len(lines(tmp_path / "candidates.csv")) >= 250


def test_records_of_other_kinds_are_looked_at_under_what_they_are_called_now(workspace, tmp_path):
    contact = uuid7()
    with Writer(workspace.log) as writer:
        for command in (
            CreateContact(name="Ann Smith", phone="+49 30 1234567"),
            RenameContact(name="Ann Miller"),
        ):
            handle(writer, command, contact, Context(SYSTEM, uuid7())).result(10)
    similar = 'among = ["lead", "contact"], weights = { name = 1, phone = 1 }'
    total, [told], _ = run(workspace, tmp_path, ANN, similar=similar)
    assert (total.similar, told["candidate"], told["candidate_id"]) == (1, "contact", str(contact))
    assert told["why"] == "name 1.00, phone 1.00"
    assert told["candidate_row"] == ""


def test_a_row_that_comes_again_is_no_candidate_for_itself(workspace, tmp_path):
    run(workspace, tmp_path, ANN)
    total, told, _ = run(workspace, tmp_path, ANN)
    assert (total.unchanged, total.similar, told) == (1, 0, [])


@pytest.mark.parametrize(
    "similar", ["at_least = 0", "at_least = 1.5", "weights = { shoe = 1 }", 'then = "merge"']
)
def test_a_recipe_that_asks_for_nonsense_is_refused(similar):
    with pytest.raises(ValidationError):
        Recipe.model_validate(tomllib.loads(RECIPE.replace("SIMILAR", similar)))


PEOPLE = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text(max_size=30),
        "email": st.emails(),
        "company": st.text(max_size=30),
        "phone": st.from_regex(r"\+?[0-9 ()./-]{3,30}", fullmatch=True),
    },
)


@given(PEOPLE, PEOPLE)
def test_likeness_is_a_share_and_the_same_both_ways(one, other):
    first, second = traits(one), traits(other)
    share, each = score(first, second, WEIGHTS)
    assert 0 <= share <= 1
    assert all(0 <= part <= 1 for part in each.values())
    assert score(second, first, WEIGHTS)[0] == pytest.approx(share)


@given(PEOPLE)
def test_whoever_is_known_well_enough_is_found_again(one):
    known = traits(one)
    share, each = score(known, known, WEIGHTS)
    assert share in {0, 1}
    assert bool(each) == (sum(WEIGHTS[field] for field in known) >= 5)
    assert list(keys(known)) == list(keys(traits(one)))
    assert bool(known) == bool(list(keys(known)))


def test_a_free_mailbox_is_found_at_another_provider():
    ann, also = traits({"email": "ann.miller@gmail.com"}), traits({"email": "ann.miller@gmx.de"})
    assert set(keys(ann)) & set(keys(also))
    assert likeness("email", ann["email"], also["email"]) == 1.0
