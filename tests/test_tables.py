from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import cycle
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import pyarrow as pa
import pytest
from pydantic import Field

from domain.base import Event, State
from domain.custom_fields import CustomFieldsDeclared, custom_fields_id
from domain.deal import DealAmountChanged
from domain.lead import LeadCaptured, LeadCustomFieldsSet
from eventstore.envelope import RecordedEvent
from projections.base import Dimension, FactTable, assign, envelope, field, row, state
from projections.store import Store
from projections.tables import Tables
from tests.random_log import EPOCH, arrow, dice, random_event, random_log, unseal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from random import Random

LOG = random_log(seed=3, events=300, streams=30)
SMALL = LOG[:60]


def follow(tables: Tables, log: list[RecordedEvent], sizes: Iterable[int], **how: Any) -> None:
    """Apply what is new of a log, in batches of these sizes."""
    rest = arrow(each for each in log if each.position > tables.taken)
    for size in sizes:
        if not len(rest):
            break
        tables.apply(rest.slice(0, size), **how)
        rest = rest.slice(size)
    tables.settle()


def digests(directory: Path, log: list[RecordedEvent], sizes: Iterable[int], **how: Any) -> Any:
    """The digests of new tables that took a log in batches of these sizes."""
    tables = Tables(directory, unseal())
    follow(tables, log, sizes, **how)
    found = tables.database.digests() | {
        f"{name} by value": digest for name, digest in tables.database.digests(values=True).items()
    }
    tables.close()
    return found


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The digests of `LOG` taken in one batch."""
    return digests(tmp_path_factory.mktemp("all"), LOG, [len(LOG)])


@pytest.mark.parametrize("settle", [True, False], ids=["settled", "carried"])
@pytest.mark.parametrize("size", [7, 90])
def test_the_size_of_batches_leaves_no_trace(
    tmp_path: Path, expected: Any, size: int, *, settle: bool
):
    assert digests(tmp_path, LOG, cycle([size]), settle=settle) == expected


def test_one_event_at_a_time_leaves_no_trace(tmp_path: Path):
    one = digests(tmp_path / "one", SMALL, cycle([1]))
    assert one == digests(tmp_path / "all", SMALL, [len(SMALL)])


class Crash(Exception):
    """Pulls the plug."""


def crashing(chance: Random, call: Callable[..., Any]) -> Callable[..., Any]:
    """A call that fails now and then, before or after it took effect."""

    def perhaps(*arguments: Any) -> Any:
        if chance.random() < 0.005:
            raise Crash
        answer = call(*arguments)
        if chance.random() < 0.005:
            raise Crash
        return answer

    return perhaps


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("settle", [True, False], ids=["settled", "carried"])
def test_a_crash_at_any_point_leaves_no_trace(
    tmp_path: Path, expected: Any, monkeypatch: pytest.MonkeyPatch, seed: int, *, settle: bool
):
    chance, crashes = dice(seed), 0
    sizes = iter(lambda: chance.choice([5, 40, 90]), None)
    tables = Tables(tmp_path, unseal())
    for _ in range(100):
        with monkeypatch.context() as patch:
            for name in ("append", "delete", "move", "commit"):
                patch.setattr(Store, name, crashing(chance, getattr(Store, name)))
            try:
                follow(tables, LOG, sizes, settle=settle)
            except Crash:
                crashes += 1
                tables.database.close()
                tables = Tables(tmp_path, unseal())
                continue
        break
    assert crashes
    found = tables.database.digests()
    tables.close()
    assert found == {name: expected[name] for name in found}


def test_after_a_crash_in_one_process_the_tables_go_on(tmp_path: Path, expected: Any):
    tables = Tables(tmp_path, unseal())
    follow(tables, LOG[:100], [100])
    with pytest.raises(KeyError):
        tables.apply(pa.table({"position": [10**9]}))
    tables.apply(arrow(LOG[100:200]), settle=False)
    with pytest.raises(KeyError):
        tables.apply(pa.table({"position": [10**9]}))
    assert (tables.position, tables.taken) == (LOG[99].position, LOG[99].position)
    follow(tables, LOG, cycle([64]))
    found = tables.database.digests()
    tables.close()
    assert found == {name: expected[name] for name in found}


SCRIPT = """
import json, sys
from pathlib import Path
from tests.random_log import dice, random_log
from tests.test_tables import digests
print(json.dumps(digests(Path(sys.argv[1]), random_log(seed=3, events=150, streams=20), [40, 110])))
"""


def test_the_hash_seed_of_python_leaves_no_trace(tmp_path: Path):
    found = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tmp_path / seed)],
            env=os.environ | {"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("0", "1", "77")
    ]
    assert json.loads(found[0])
    assert len(set(found)) == 1


def test_what_was_taken_is_taken_once(tmp_path: Path, expected: Any):
    tables = Tables(tmp_path, unseal())
    for begin in range(0, len(LOG), 50):
        tables.apply(arrow(LOG[max(0, begin - 70) : begin + 50]))
    found = tables.database.digests()
    tables.close()
    assert found == {name: expected[name] for name in found}


def test_personal_tables_catch_up_when_keys_come_later(tmp_path: Path, expected: Any):
    without = Tables(tmp_path)
    follow(without, LOG[:200], [200])
    assert not without.database.has_personal
    assert not without.paths[1].exists()
    without.close()
    tables = Tables(tmp_path, unseal())
    assert tables.position == 0
    follow(tables, LOG, cycle([60]))
    found = tables.database.digests()
    tables.close()
    assert found == {name: expected[name] for name in found}


def test_a_forgotten_person_has_no_values_and_the_digests_stay(tmp_path: Path, expected: Any):
    leads = [each for each in LOG if isinstance(each.event, LeadCaptured)]
    tables = Tables(tmp_path, unseal(leads[0].stream_id))
    follow(tables, LOG, cycle([100]))
    rows = tables.database.query(
        "SELECT name, digest FROM lead_personal_history WHERE id = ?",
        [str(leads[0].stream_id)],
        personal=True,
    )
    assert len(rows) >= 1
    assert rows["name"].null_count() == len(rows)
    assert all(digest["name"] is not None for digest in rows["digest"])
    others = tables.database.query("FROM lead_personal WHERE name IS NOT NULL", personal=True)
    assert len(others) == len(leads) - 1
    assert tables.poisoned == 0
    found = tables.database.digests()
    tables.close()
    assert found == {name: expected[name] for name in found}


def spoiled(log: list[RecordedEvent], place: int, **columns: Any) -> pa.Table:
    """The log as Arrow, one row of it changed."""
    rows = arrow(log).to_pylist()
    rows[place] |= columns
    return pa.Table.from_pylist(rows, arrow(log).schema)


POISONS = {
    "is not JSON": b'{"amount": ',
    "is not UTF-8": b"\xff\xfe",
    "is not a JSON object": b"[1]",
    "lacks previous_currency": b'{"amount":"1","currency":"EUR","previous_amount":"1"}',
    "has the unknown x": b'{"amount":"1","currency":"EUR","previous_amount":"1",'
    b'"previous_currency":"EUR","x":1}',
    "repeats amount": b'{"amount":"1","amount":"1","currency":"EUR","previous_amount":"1",'
    b'"previous_currency":"EUR"}',
    "has no amount": b'{"amount":null,"currency":"EUR","previous_amount":"1",'
    b'"previous_currency":"EUR"}',
    "has a DOUBLE in amount": b'{"amount":1.5,"currency":"EUR","previous_amount":"1",'
    b'"previous_currency":"EUR"}',
    "has a BIGINT in currency": b'{"amount":"1","currency":7,"previous_amount":"1",'
    b'"previous_currency":"EUR"}',
    "has a value that its column cannot hold exactly": b'{"amount":"1.005","currency":"EUR",'
    b'"previous_amount":"1","previous_currency":"EUR"}',
}


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("error", POISONS)
def test_a_poisoned_event_is_named_and_skipped(tmp_path: Path, error: str, size: int):
    chance = dice(4)
    changes: list[Any] = [random_event(chance, DealAmountChanged) for _ in range(3)]
    log = [recorded(place, event) for place, event in enumerate(changes, 1)]
    batch = spoiled(log, 1, data=POISONS[error])
    tables = Tables(tmp_path, unseal())
    for begin in range(0, len(batch), size):
        tables.apply(batch.slice(begin, size))
    assert tables.poisoned == 1
    assert tables.database.query("FROM poison_event").to_dicts() == [
        {
            "position": 2,
            "stream_id": str(log[1].stream_id),
            "type": "deal.amount_changed.v1",
            "error": error,
        }
    ]
    told = tables.database.query("SELECT version, amount FROM deal_history ORDER BY version")
    assert told.rows() == [(1, changes[0].amount), (3, changes[2].amount)]
    assert tables.database.query("SELECT count(*) FROM event").item() == 3
    assert tables.database.query("SELECT version FROM stream").item() == 3
    tables.close()
    again = Tables(tmp_path, unseal())
    assert (again.poisoned, again.position) == (1, 3)
    again.close()


def test_numbers_in_any_notation_are_exact(tmp_path: Path):
    event = DealAmountChanged(
        amount=Decimal("1E+3"),
        currency="EUR",
        previous_amount=Decimal("-0.10"),
        previous_currency="EUR",
    )
    tables = Tables(tmp_path, unseal())
    tables.apply(arrow([recorded(1, event)]))
    row = tables.database.query("SELECT from_amount, to_amount FROM amount_change").row(0)
    tables.close()
    assert row == (Decimal("-0.10"), Decimal("1000.00"))


def test_an_event_of_an_unknown_type_is_poisoned(tmp_path: Path):
    tables = Tables(tmp_path, unseal())
    tables.apply(spoiled(SMALL, 5, type="lead.abducted.v1"))
    error = tables.database.query("SELECT error FROM poison_event").item()
    tables.close()
    assert error == "the type lead.abducted.v1 is unknown"


@pytest.mark.parametrize("text", ["Ann", "enc1:", f"enc1:{UUID(int=1)}:AAAA"])
def test_a_personal_value_that_cannot_be_opened_is_named(tmp_path: Path, text: str):
    event: Any = random_event(dice(1), LeadCaptured)
    captured = recorded(1, event)
    stored = json.loads(arrow([captured])["data"][0].as_py())
    tables = Tables(tmp_path, unseal())
    tables.apply(spoiled([captured], 0, data=json.dumps(stored | {"name": text}).encode()))
    assert tables.poisoned == 1
    assert tables.database.query("SELECT count(*) FROM poison_event").item() == 0
    found = tables.database.query("FROM poison_value", personal=True).to_dicts()
    name, email = tables.database.query("SELECT name, email FROM lead_personal", personal=True).row(
        0
    )
    tables.close()
    assert [row["position"] for row in found] == [1]
    assert text not in found[0]["error"]
    assert (name, email) == (None, event.email)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE stored.lead_past SET source = source || ' ' WHERE rowid = 0",
        "UPDATE stored.deal_current SET amount = amount + 0.01 WHERE rowid = 0",
        (
            "UPDATE stored.event SET recorded_at = recorded_at + INTERVAL 1 microsecond "
            "WHERE rowid = 3"
        ),
        "DELETE FROM stored.ticket_past WHERE rowid = 0",
        "INSERT INTO stored.score_change FROM stored.score_change LIMIT 1",
        "UPDATE stored.lead_current SET owner = NULL WHERE owner IS NOT NULL",
        "UPDATE stored.score_change SET value = value - 1.2e-16 WHERE value > 0.5",
    ],
)
def test_a_digest_sees_one_changed_cell(tmp_path: Path, expected: Any, change: str):
    tables = Tables(tmp_path, unseal())
    follow(tables, LOG, [len(LOG)])
    with tables.database.connection() as connection:
        [(changed,)] = connection.execute(change).fetchall()
    found = tables.database.digests()
    tables.close()
    assert changed > 0
    name = (
        change.split("stored.")[1]
        .split(maxsplit=1)[0]
        .removesuffix("_past")
        .removesuffix("_current")
    )
    assert {table for table in found if found[table] != expected[table]} == {name}


STREAM = UUID(int=1)


def recorded(place: int, event: Event, stream: UUID = STREAM) -> RecordedEvent:
    """An event in the log."""
    return RecordedEvent(
        event_id=UUID(int=1000 + place),
        stream_id=stream,
        version=place,
        occurred_at=EPOCH,
        actor=UUID(int=3),
        correlation_id=UUID(int=4),
        causation_id=None,
        event=event,
        position=place,
        recorded_at=EPOCH,
    )


def test_a_custom_field_becomes_a_column_as_soon_as_it_is_declared(tmp_path: Path):
    chance = dice(5)
    captured = random_event(chance, LeadCaptured)
    values = {"visits": 3, "status": "hot", "note": None}
    log = [
        recorded(1, captured),
        recorded(2, LeadCustomFieldsSet(custom=values, custom_personal={"hobby": "chess"})),
    ]
    tables = Tables(tmp_path, unseal())
    tables.apply(arrow(log))
    assert "visits" not in tables.database.query("FROM lead").columns
    fields = custom_fields_id("lead")
    for place, (name, kind, personal) in enumerate(
        [("visits", "integer", False), ("status", "text", False), ("hobby", "text", True)], 3
    ):
        declared = CustomFieldsDeclared(
            aggregate="lead",
            name=name,
            field_type=kind,
            unit=None,
            personal=personal,
            description="Told by a test.",
        )
        tables.apply(arrow([replace(recorded(place, declared, fields), version=place - 2)]))
    ask = tables.database.query
    assert ask("SELECT visits, custom_status, status FROM lead").row(0) == (3, "hot", "open")
    assert ask("SELECT visits FROM lead_history ORDER BY version").rows()[-1] == (3,)
    assert ask("SELECT visits FROM lead_at(known_at := 2)").row(0) == (3,)
    assert ask("SELECT hobby FROM lead_personal", personal=True).row(0) == ("chess",)
    told = "SELECT comment FROM duckdb_columns() WHERE table_name = 'lead' AND column_name = ?"
    assert ask(told, ["visits"]).item() == "Told by a test."
    tables.close()
    again = Tables(tmp_path, unseal())
    assert again.database.query("SELECT visits FROM lead").item() == 3
    again.close()


Weight = Annotated[Decimal, Field(max_digits=8, decimal_places=3)]


def _in_kilograms(fields: dict[str, Any]) -> dict[str, Any]:
    return {"weight": str(Decimal(fields["grams"]) / 1000), "to": fields["to"]}


class ParcelSent(Event, type="parcel.sent.v2", lifts={"parcel.sent.v1": _in_kilograms}):
    """A parcel went out."""

    to: str
    weight: Weight


class ParcelLost(Event, type="parcel.lost.v1"):
    """Nobody knows where it is."""


@dataclass(frozen=True, slots=True)
class Parcel(State[ParcelSent | ParcelLost]):
    """What is known of a parcel."""

    lost: bool = False


def test_an_older_shape_is_lifted(tmp_path: Path):
    parcels = Dimension(
        "parcel",
        of=Parcel,
        on={
            ParcelSent: assign(status="sent", addressee=field.to, weight=field),
            ParcelLost: assign(status="lost", lost_at=envelope.effective_at),
        },
        description="Parcels.",
        columns={
            "status": "sent or lost.",
            "addressee": "To whom.",
            "weight": "In kilograms.",
            "lost_at": "When it was lost.",
        },
    )
    losses = FactTable(
        "loss",
        of=parcels,
        on={ParcelLost: row(weight=state, reason="lost")},
        description="Losses.",
        columns={"weight": "In kilograms.", "reason": "Why."},
    )
    tables = Tables(
        tmp_path,
        dimensions=[parcels],
        facts=[losses],
        events={event.type: event for event in (ParcelSent, ParcelLost)},
    )
    sent = recorded(1, ParcelSent(to="Ann", weight=Decimal("0.25")))
    log = [sent, recorded(2, ParcelLost()), replace(sent, position=3, version=3)]
    log += [replace(sent, position=4, version=4), replace(sent, position=5, version=5)]
    rows = arrow(log).to_pylist()
    rows[2] |= {"type": "parcel.sent.v1", "data": b'{"grams":1750,"to":"Bo"}'}
    rows[3] |= {"type": "parcel.sent.v1", "data": b'{"to":"Cy"}'}
    rows[4] |= {"type": "parcel.sent.v1", "data": b'{"grams":0.12345,"to":"Di"}'}
    tables.apply(pa.Table.from_pylist(rows, arrow(log).schema))
    ask = tables.database.query
    told = ask("SELECT version, addressee, weight, status FROM parcel_history ORDER BY version")
    losses_told = ask("SELECT weight, reason FROM loss").rows()
    poison = ask("SELECT position, error FROM poison_event ORDER BY position").rows()
    tables.close()
    assert told.rows() == [
        (1, "Ann", Decimal("0.250"), "sent"),
        (2, "Ann", Decimal("0.250"), "lost"),
        (3, "Bo", Decimal("1.750"), "sent"),
    ]
    assert losses_told == [(Decimal("0.250"), "lost")]
    assert poison == [
        (4, "cannot be lifted: KeyError"),
        (5, "has a value that its column cannot hold exactly"),
    ]
