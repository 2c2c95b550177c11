"""Imports are taken back: what they made is gone, what they changed is as before."""

from __future__ import annotations

import csv
from contextlib import suppress
from dataclasses import fields
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, settings
from hypothesis import given as whatever
from hypothesis import strategies as st

from commands.base import Command, handle
from commands.customer import ChangeCustomerTier, CloseCustomer
from commands.deal import ChangeDealAmount, OpenDeal, WinDeal
from domain.base import Refusal, State, fold
from domain.deal import Deal, DealAmountChanged
from domain.user import SYSTEM
from eventstore.envelope import uuid7
from eventstore.workspace import Workspace
from eventstore.writer import Context, Writer
from imports.rehearsal import Rehearsal
from imports.report import Kept
from imports.restore import KEPT_EVENTS, _plain
from imports.revert import Revert
from imports.runs import APART, find_run, runs
from projections import DIMENSIONS
from tests.imports_shop import DEALS, run, shop
from tests.test_imports import deal, id_of, types
from tests.test_retraction import followed

if TYPE_CHECKING:
    from pathlib import Path

    from imports.revert import Reverted

MOSES = UUID("00000000-0000-4000-8000-0000000000d1")
TOLD_ANEW = {"stage_since", "closed_at", "reason", "competitor", "revision"}
"""Columns that tell when and why something became so: taking it back is something that happened."""

OTHER_VALUES = [
    "D1,Violet,GTXPro,Acme,Won,10.02.2024,01.03.2024,4600,yes,40",
    "D2,Moses,MG Special,Branch,Won,11.02.2024,05.03.2024,50,no,0",
    "D3,Violet,GTX Pro,Zeta,Offered,12.07.2024,,,yes,12",
    "D4,Moses,MG Special,Zeta,Lost,12.02.2024,06.03.2024,,no,3",
    "D5,Otto,MG Special,Zeta,New,13.02.2024,,,no,3",
]


def revert(
    workspace: Workspace, which: int = -1, path: Path | None = None, **more: Any
) -> tuple[Reverted, list[dict[str, str]]]:
    """Take a run back; what came of it, and the records that were kept."""
    with Kept(path) as kept, Writer(workspace.log) as writer:
        found = runs(workspace.log)[which]
        came = Revert(workspace.log, writer, found, actor=MOSES, kept=kept, **more).revert()
    if kept.made is None:
        return came, []
    with kept.made.open(encoding="utf-8", newline="") as file:
        return came, list(csv.DictReader(file))


def ask(workspace: Workspace, command: Command[Any], stream_id: UUID) -> None:
    """Somebody else does something."""
    with Writer(workspace.log) as writer:
        handle(writer, command, stream_id, Context(SYSTEM, uuid7())).result(10)


def base(workspace: Workspace, until: int | None = None) -> dict[UUID, dict[str, Any]]:
    """What is true of every record there is; or was, when the log ended there."""
    states: dict[UUID, State[Any]] = {}
    for recorded in workspace.log.read():
        if until is not None and recorded.position > until:
            break
        if recorded.event.type.split(".")[0] not in APART:
            of = workspace.log.state_of(recorded.event)
            states[recorded.stream_id] = fold(
                states.get(recorded.stream_id, of()), [recorded.event]
            )
    return {
        id_: {f.name: _plain(f.name, state) for f in fields(state) if f.name not in KEPT_EVENTS}
        for id_, state in states.items()
        if state != type(state)()
    }


SHOWN = {
    shape.table.name: [c.name for c in shape.table.columns if c.name not in TOLD_ANEW]
    for dimension in DIMENSIONS
    for shape in dimension.shapes
    if shape.table.name in {"customer", "deal", "pipeline", "user"}
}
"""The tables of what a shop has, and their columns."""


def rows(database: Any, position: int) -> dict[UUID, tuple[Any, ...]]:
    """What the tables show of every record, as it was known at a position."""
    return {
        UUID(str(id_)): (name, *shown)
        for name, columns in SHOWN.items()
        for id_, *shown in database.query(
            f"SELECT id, {', '.join(columns)} FROM {name}_at(known_at := {position})"
        ).rows()
    }


def test_what_a_run_made_is_taken_back_and_can_be_imported_again(workspace, tmp_path):
    run(workspace, shop(tmp_path / "shop"))
    there = base(workspace)
    came, kept = revert(workspace, path=tmp_path / "kept.csv")
    assert (came.retracted, came.restored, came.kept, kept) == (10, 0, 0, [])
    assert base(workspace) == {}
    [told] = runs(workspace.log)
    assert told.state.status == "reverted"
    assert told.as_dict()["retracted"] == 10
    again, errors = run(workspace, tmp_path / "shop")
    assert (again.total.imported, errors) == (10, [])
    assert base(workspace) == there
    idle, _ = run(workspace, tmp_path / "shop")
    assert idle.total.events == 0
    revert(workspace, 1)
    assert base(workspace) == {}


def test_what_a_run_changed_is_as_it_was_before(workspace, tmp_path):
    run(workspace, shop(tmp_path / "shop"))
    before = base(workspace)
    run(workspace, shop(tmp_path / "shop", OTHER_VALUES))
    assert base(workspace) != before
    came, kept = revert(workspace, path=tmp_path / "kept.csv")
    assert kept == []
    assert (came.retracted, came.restored) == (2, 4)  # a deal and its agent; four deals
    assert base(workspace) == before
    assert (deal(workspace, "D1").status, deal(workspace, "D1").amount) == ("won", Decimal(4500))
    summary, _ = run(workspace, tmp_path / "shop")
    assert (summary.total.changed, summary.total.imported) == (4, 2)
    assert deal(workspace, "D1").amount == Decimal(4600)


def test_every_event_of_a_revert_names_what_it_undoes_and_who_wanted_it(workspace, tmp_path):
    run(workspace, shop(tmp_path / "shop"))
    head = workspace.log.last_position()
    [told] = runs(workspace.log)
    by_id = {recorded.event_id: recorded for recorded in workspace.log.read()}
    revert(workspace)
    undoing = [r for r in workspace.log.read(head) if r.causation_id is not None]
    assert len(undoing) == 10
    for recorded in undoing:
        undone = by_id[recorded.causation_id]
        assert undone.stream_id == recorded.stream_id
        assert undone.correlation_id == told.id
        assert recorded.correlation_id == told.revert_id
        assert recorded.actor == MOSES
        assert recorded.occurred_at == undone.occurred_at


def test_what_was_changed_since_stays_with_all_that_it_refers_to(workspace, tmp_path):
    run(workspace, shop(tmp_path / "shop"))
    ask(workspace, ChangeDealAmount(amount=99, currency="EUR"), id_of("deal", "D4"))
    came, kept = revert(workspace, path=tmp_path / "kept.csv")
    assert deal(workspace, "D4").amount == 99
    assert {row["kind"] for row in kept} == {"deal", "customer", "pipeline", "user"}
    [first] = [row for row in kept if row["kind"] == "deal"]
    assert (first["why"], first["event"]) == ("changed since", "deal.amount_changed.v1")
    assert (first["by"], first["id"]) == (str(SYSTEM), str(id_of("deal", "D4")))
    assert (came.kept, came.retracted) == (4, 6)
    assert set(base(workspace)) == {UUID(row["id"]) for row in kept}


def test_what_others_refer_to_since_stays(workspace, tmp_path):
    run(workspace, shop(tmp_path / "shop"))
    opened = OpenDeal(
        name="New",
        customer_id=id_of("customer", "Acme"),
        pipeline_id=id_of("pipeline", "sales"),
        amount=1,
        currency="EUR",
    )
    ask(workspace, opened, uuid7())
    _, kept = revert(workspace, path=tmp_path / "kept.csv")
    assert {(row["kind"], row["why"]) for row in kept} == {
        ("customer", "referred to since"),
        ("pipeline", "referred to since"),
    }


def test_fields_that_nobody_changed_since_may_be_restored(workspace, tmp_path):
    run(workspace, shop(tmp_path / "shop"))
    run(workspace, shop(tmp_path / "shop", OTHER_VALUES))
    ask(workspace, ChangeDealAmount(amount=99, currency="EUR"), id_of("deal", "D3"))
    revert(workspace, path=tmp_path / "kept.csv", unchanged_fields=True)
    found = deal(workspace, "D3")
    assert (str(found.amount), found.stage, found.customer_id) == ("99", "new", None)
    assert found.custom == {"urgent": None, "seats": None}


def test_a_dry_run_tells_the_same_and_does_nothing(workspace, tmp_path):
    run(workspace, shop(tmp_path / "shop"))
    run(workspace, shop(tmp_path / "shop", OTHER_VALUES))
    ask(workspace, ChangeDealAmount(amount=99, currency="EUR"), id_of("deal", "D3"))
    head = workspace.log.last_position()
    found = runs(workspace.log)[-1]
    with Kept(tmp_path / "dry.csv") as kept:
        dry = Revert(
            workspace.log, Rehearsal(workspace.log), found, actor=MOSES, kept=kept
        ).revert()
    assert workspace.log.last_position() == head
    wet, _ = revert(workspace, path=tmp_path / "wet.csv")
    assert dry == wet
    assert (tmp_path / "dry.csv").read_text() == (tmp_path / "wet.csv").read_text()


class Killed(Exception):
    """The process ended here."""


@pytest.mark.parametrize("after", [0, 1, 3, 7])
def test_a_revert_that_was_killed_goes_on_where_it_stood(workspace, tmp_path, after):
    run(workspace, shop(tmp_path / "shop"))
    before = base(workspace)
    run(workspace, shop(tmp_path / "shop", OTHER_VALUES))
    left = count(after, -1)

    class Dying(Revert):
        def _ask(self, *arguments: Any, **more: Any) -> None:
            if not next(left):
                raise Killed
            super()._ask(*arguments, **more)
            self._land()

    with Writer(workspace.log) as writer, suppress(Killed):
        Dying(workspace.log, writer, runs(workspace.log)[-1], actor=MOSES).revert()
    if after < 6:
        assert runs(workspace.log)[-1].state.status == "reverting"
    revert(workspace)
    assert base(workspace) == before
    told = runs(workspace.log)[-1].as_dict()
    assert (told["status"], told["retracted"], told["restored"]) == ("reverted", 2, 4)
    events = workspace.log.last_position()
    revert(workspace)
    assert workspace.log.last_position() == events


def test_a_run_over_a_run_that_was_taken_back_can_be_taken_back(workspace, tmp_path):
    run(workspace, shop(tmp_path / "shop"))
    run(workspace, shop(tmp_path / "shop", OTHER_VALUES))
    revert(workspace, 1)
    came, kept = revert(workspace, 0, path=tmp_path / "kept.csv")
    assert (came.retracted, kept) == (10, [])
    assert base(workspace) == {}


def test_a_run_is_found_by_its_first_digits(workspace, tmp_path):
    summary, _ = run(workspace, shop(tmp_path / "shop"))
    assert find_run(workspace.log, str(summary.run)[:8]).id == summary.run
    with pytest.raises(Exception, match="there is no run 00000000"):
        find_run(workspace.log, "00000000")


def test_an_amount_goes_back_by_the_ordinary_event(workspace, tmp_path):
    run(workspace, shop(tmp_path / "shop"))
    lines = [line.replace("D3,Violet", "D3,Moses") for line in DEALS]
    run(workspace, shop(tmp_path / "shop", lines))
    revert(workspace)
    assert types(workspace, "D3") == ["opened", "assigned", "assigned"]
    assert DealAmountChanged not in map(type, workspace.log.read())


KEYS = ("D1", "D2", "D3", "D4", "D5")
LINES = st.builds(
    lambda key, agent, customer, end, urgent, seats: (
        f"{key},{agent},MG Special,{customer},{end},{urgent},{seats}"
    ),
    st.sampled_from(KEYS),
    st.sampled_from(["Moses", "Violet", ""]),
    st.sampled_from(["Acme", "Zeta", "Branch"]),
    st.sampled_from(
        [
            "Won,10.02.2024,01.03.2024,4500",
            "Lost,10.02.2024,02.03.2024,0",
            "New,10.02.2024,,",
            "Offered,10.02.2024,,",
        ]
    ),
    st.sampled_from(["yes", "no", "Select"]),
    st.integers(0, 3),
)
FILES = st.lists(LINES, max_size=5, unique_by=lambda line: line[:2])
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(KEYS),
        st.sampled_from(
            [
                ChangeDealAmount(amount=7, currency="EUR"),
                WinDeal(),
                ChangeCustomerTier(tier="premium"),
                CloseCustomer(reason="Insolvent"),
            ]
        ),
    ),
    max_size=3,
)


def a_run_in_a_busy_base(
    workspace: Workspace, folder: Path, first: list[str], second: list[str], changes: list[Any]
) -> tuple[list[int], set[UUID], set[UUID]]:
    """A run, changes by somebody, and the run taken back.

    Where the log ended before, in between and then; records that somebody changed; and those kept.
    """
    run(workspace, shop(folder / "shop", first))
    ends = [workspace.log.last_position()]
    run(workspace, shop(folder / "shop", [*second, "E,Otto,MG Special,Acme,New,,,,no,"]))
    touched = set()
    for key, command in changes:
        id_ = id_of("deal", key) if command.of is Deal else id_of("customer", "Acme")
        head = workspace.log.last_position()
        with suppress(Refusal):
            ask(workspace, command, id_)
        touched |= {id_} if workspace.log.last_position() > head else set()
    ends.append(workspace.log.last_position())
    _, kept = revert(workspace, path=folder / "kept.csv")
    return [*ends, workspace.log.last_position()], touched, {UUID(row["id"]) for row in kept}


def compare(kept: set[UUID], *bases: dict[UUID, Any]) -> None:
    """After all, everything is as before the run, but for what was kept."""
    before, changed, after = bases
    for id_ in {*before, *changed, *after}:
        expected = changed if id_ in kept else before
        assert after.get(id_) == expected.get(id_)


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@whatever(first=FILES, second=FILES, changes=CHANGES)
def test_all_but_the_conflicts_named_is_as_if_the_run_had_never_been(
    tmp_path_factory, database_url, first, second, changes
):
    folder = tmp_path_factory.mktemp("any")
    with Workspace.open(folder, database_url, f"w{uuid7().hex[-12:]}") as workspace:
        ends, touched, kept = a_run_in_a_busy_base(workspace, folder, first, second, changes)
        compare(touched | kept, *(base(workspace, end) for end in ends))


@settings(max_examples=2, suppress_health_check=list(HealthCheck))
@example(first=list(DEALS), second=OTHER_VALUES, changes=[("D3", WinDeal())])
@whatever(first=FILES, second=FILES, changes=CHANGES)
def test_so_are_the_tables(tmp_path_factory, database_url, first, second, changes):
    folder = tmp_path_factory.mktemp("any")
    with Workspace.open(folder, database_url, f"w{uuid7().hex[-12:]}") as workspace:
        ends, touched, kept = a_run_in_a_busy_base(workspace, folder, first, second, changes)
        with followed(workspace, folder) as database:
            compare(touched | kept, *(rows(database, end) for end in ends))
