from __future__ import annotations

import json
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import pyarrow as pa
import pytest
from pydantic import Field

from domain.base import Event, State
from domain.custom_fields import CustomFieldsDeclared, custom_fields_id
from domain.deal import DealAmountChanged
from domain.lead import LeadCaptured, LeadCustomFieldsSet, LeadQualified
from domain.subject import SubjectForgotten
from eventstore.envelope import RecordedEvent
from projections.base import Dimension, FactTable, assign, envelope, field, row, state
from projections.deal import amount_change, deal
from projections.tables import Tables
from tests.random_log import EPOCH, arrow, dice, random_event, random_log, unseal

if TYPE_CHECKING:
    from pathlib import Path

STREAM = UUID(int=1)
DEALS: dict[str, Any] = {"dimensions": [deal], "facts": [amount_change]}
"""Tables enough for changes of amounts, and sooner made than all."""


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
    tables = Tables(tmp_path, unseal(), **DEALS)
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
    again = Tables(tmp_path, unseal(), **DEALS)
    assert (again.poisoned, again.position) == (1, 3)
    again.close()


def test_numbers_in_any_notation_are_exact(tmp_path: Path):
    event = DealAmountChanged(
        amount=Decimal("1E+3"),
        currency="EUR",
        previous_amount=Decimal("-0.10"),
        previous_currency="EUR",
    )
    tables = Tables(tmp_path, unseal(), **DEALS)
    tables.apply(arrow([recorded(1, event)]))
    row = tables.database.query("SELECT from_amount, to_amount FROM amount_change").row(0)
    tables.close()
    assert row == (Decimal("-0.10"), Decimal("1000.00"))


def test_an_event_of_an_unknown_type_is_poisoned(tmp_path: Path):
    tables = Tables(tmp_path, unseal())
    tables.apply(spoiled(random_log(seed=3, events=20, streams=5), 5, type="lead.abducted.v1"))
    error = tables.database.query("SELECT error FROM poison_event").item()
    tables.close()
    assert error == "the type lead.abducted.v1 is unknown"


@pytest.mark.parametrize(
    "text", ["Ann", "enc1:", f"enc1:{UUID(int=1)}:AAAA", f"enc1:{UUID(int=1)}:A%"]
)
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


def test_what_was_forgotten_does_not_come_back_with_the_next_event(tmp_path: Path):
    captured: Any = random_event(dice(1), LeadCaptured)
    qualified: Any = random_event(dice(2), LeadQualified)
    key = UUID(int=9)
    forgotten = SubjectForgotten(record_id=key, reason="-", key_ids=(), record_ids=(STREAM,))
    log = [
        recorded(1, captured),
        replace(recorded(2, forgotten, key), version=1),
        replace(recorded(3, qualified), version=2),
    ]
    names = []
    tables = Tables(tmp_path, unseal())
    for each in log:
        tables.apply(arrow([each]))
        names.append(tables.database.query("SELECT name FROM lead_personal", personal=True).item())
    tables.close()
    assert names == [captured.name, None, None]


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
    assert ask(told, ["visits"]).item().startswith("Told by a test. From lead.captured.v1")
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


PARCELS = Dimension(
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
LOSSES = FactTable(
    "loss",
    of=PARCELS,
    on={ParcelLost: row(weight=state, reason="lost")},
    description="Losses.",
    columns={"weight": "In kilograms.", "reason": "Why."},
)


def test_an_older_shape_is_lifted(tmp_path: Path):
    tables = Tables(
        tmp_path,
        dimensions=[PARCELS],
        facts=[LOSSES],
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
