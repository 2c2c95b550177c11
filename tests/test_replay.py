"""History, diff and why: the past of one record, on both time axes, with the reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from commands.base import Command, handle
from commands.custom_fields import DeclareCustomField
from commands.lead import (
    AssignLead,
    CaptureLead,
    DisqualifyLead,
    QualifyLead,
    RecycleLead,
    SetLeadCustomFields,
)
from commands.user import RegisterUser
from domain.base import HIDDEN
from domain.custom_fields import custom_fields_id
from domain.user import SYSTEM
from eventstore.envelope import uuid7
from eventstore.workspace import Workspace
from eventstore.writer import Context, Receipt, Writer
from replay.base import (
    Bounds,
    EventUnreadable,
    ReplayError,
    StreamUnknown,
    bounds,
    find_stream,
    moment,
    state_at,
)
from replay.diff import BackwardsDiff, diff
from replay.history import history
from replay.reservations import recompute
from replay.why import FieldUnknown, why

if TYPE_CHECKING:
    from collections.abc import Iterator

ANN = UUID("0b5e55ed-0000-4000-8000-000000000001")
BOB = UUID("0b5e55ed-0000-4000-8000-000000000002")
EVE = UUID("0b5e55ed-0000-4000-8000-000000000003")
LEAD = UUID("1eadface-0000-4000-8000-000000000001")
OTHER = UUID("1eadface-0000-4000-8000-000000000002")
QUALIFY = QualifyLead.model_validate(QualifyLead.example)
CAPTURE = CaptureLead.model_validate(CaptureLead.example)


def day(number: int) -> datetime:
    return datetime(2024, 3, number, 12, tzinfo=UTC)


class Office:
    """A workspace where something happens."""

    def __init__(self, workspace: Workspace, writer: Writer) -> None:
        self.workspace, self.log, self.writer = workspace, workspace.log, writer

    def do(
        self, command: Command[Any], stream: UUID = LEAD, *, on: int | None = None, **more: Any
    ) -> Receipt:
        context = Context(
            **{"actor": ANN, "correlation_id": uuid7()} | more,
            occurred_at=day(on) if on else None,
        )
        return handle(self.writer, command, stream, context).result(30)


@pytest.fixture
def office(workspace: Workspace) -> Iterator[Office]:
    with Writer(workspace.log) as writer:
        opened = Office(workspace, writer)
        opened.do(RegisterUser(name="Eve Sales", team="west"), EVE, actor=SYSTEM)
        yield opened


def test_a_bare_date_is_the_end_of_that_day():
    assert moment("2024-03-01") == datetime(2024, 3, 1, 23, 59, 59, 999999, tzinfo=UTC)
    assert moment("2024-03-01T10:00") == datetime(2024, 3, 1, 10, tzinfo=UTC)
    assert moment("2024-03-01T10:00+02:00") == datetime(2024, 3, 1, 8, tzinfo=UTC)
    for nonsense in ("yesterday", "2024-13-01", "9999-12-31T23:00-09:00", ""):
        with pytest.raises(ReplayError, match="is no time"):
            moment(nonsense)


def test_a_history_ends_at_its_bounds_on_both_axes(office: Office):
    captured = office.do(CAPTURE, on=1)
    office.do(QUALIFY, on=3)
    late = office.do(AssignLead(owner=EVE), on=2)  # told late: effective when already qualified
    whole = history(office.log, LEAD)
    assert [told.type for told in whole.happenings] == [
        "lead.captured.v1",
        "lead.qualified.v1",
        "lead.assigned.v1",
    ]
    assert [told.effective_at for told in whole.happenings] == [day(1), day(3), day(3)]
    assert whole.record["status"] == "qualified"
    assert whole.record["owner"] == EVE
    assert whole.record["name"] == "Ann Example"
    assert "qualification" not in whole.record
    assigned = whole.happenings[2].changes
    assert [(change.field, change.old, change.new) for change in assigned] == [("owner", None, EVE)]

    then = history(office.log, LEAD, Bounds(as_of=day(2)))
    assert then.record["status"] == "open"
    assert (len(then.happenings), then.later) == (1, 2)
    known = history(office.log, LEAD, Bounds(known_at=late.position - 1))
    assert known.record["owner"] is None
    assert history(office.log, LEAD, Bounds(known_at=captured.position - 1)).record == {}


def test_known_at_is_a_position_or_a_time(office: Office):
    before = datetime.now(UTC) - timedelta(minutes=1)
    receipt = office.do(CAPTURE)
    assert bounds(office.log, known_at=str(receipt.position)).known_at == receipt.position
    assert bounds(office.log, known_at=before.isoformat()).known_at == 0
    later = datetime.now(UTC) + timedelta(minutes=1)
    assert bounds(office.log, "2024-03-01", later.isoformat()) == Bounds(
        moment("2024-03-01"), receipt.position
    )


def test_a_record_is_found_by_the_beginning_of_its_id(office: Office):
    office.do(CAPTURE)
    assert find_stream(office.log, str(LEAD)) == LEAD
    assert find_stream(office.log, "1eadface") == LEAD
    office.do(CaptureLead(name="Other", source="web"), OTHER)
    for wrong in ("1eadface", "2eadface", "1ead", "ann@example.com"):
        with pytest.raises(StreamUnknown):
            find_stream(office.log, wrong)


def test_a_diff_names_what_changed_and_through_what(office: Office):
    office.do(CAPTURE, on=1)
    office.do(QUALIFY, on=3)
    office.do(AssignLead(owner=EVE), on=5)
    found = diff(office.log, LEAD, Bounds(as_of=day(1)), Bounds(as_of=day(4)))
    changes = {change.field: (change.old, change.new) for change in found.changes}
    assert changes["status"] == ("open", "qualified")
    assert changes["budget"] == (None, 3)
    assert "owner" not in changes
    assert "name" not in changes
    assert [told.type for told in found.happenings] == ["lead.qualified.v1"]
    with pytest.raises(BackwardsDiff):
        diff(office.log, LEAD, Bounds(as_of=day(4)), Bounds(as_of=day(1)))


def test_a_diff_on_the_other_axis_shows_what_was_learned_since(office: Office):
    office.do(CAPTURE, on=1)
    known = office.do(QUALIFY, on=3).position
    office.do(AssignLead(owner=EVE), on=3)
    found = diff(office.log, LEAD, Bounds(day(4), known), Bounds(day(4)))
    assert [(change.field, change.new) for change in found.changes] == [("owner", EVE)]


def test_why_names_the_event_that_made_the_value_what_it_is(office: Office):
    office.do(RegisterUser(name="Ann Sales", team="east"), ANN, actor=SYSTEM)
    office.do(CAPTURE, on=1)
    office.do(QUALIFY, on=2, actor=BOB)
    office.do(AssignLead(owner=EVE), on=3)
    found = why(office.log, LEAD, "status")
    assert (found.value, found.previous) == ("qualified", "open")
    assert found.setter.type == "lead.qualified.v1"
    assert (found.setter.actor, found.setter.actor_name) == (BOB, None)
    assert found.previous_setter is not None
    assert found.previous_setter.actor_name == "Ann Sales"
    assert why(office.log, LEAD, "email").value == "ann@example.com"
    assert why(office.log, LEAD, "budget").setter.version == 2
    assert why(office.log, LEAD, "status", Bounds(as_of=day(1))).value == "open"
    with pytest.raises(FieldUnknown, match=r"no field 'budget' .* status"):
        why(office.log, LEAD, "budget", Bounds(as_of=day(1)))
    with pytest.raises(FieldUnknown, match="no field 'colour'"):
        why(office.log, LEAD, "colour")


def test_why_follows_a_value_that_came_back(office: Office):
    office.do(CAPTURE, on=1)
    office.do(DisqualifyLead(reason="no_need"), on=2)
    office.do(RecycleLead(reason="Called us"), on=3)
    found = why(office.log, LEAD, "status")
    assert (found.value, found.setter.type) == ("open", "lead.recycled.v2")
    assert (found.previous, found.setter.fields["reason"]) == ("disqualified", "Called us")


def test_why_knows_custom_fields_one_by_one(office: Office):
    for name, personal in (("visits", False), ("nickname", True)):
        declare = DeclareCustomField(
            aggregate="lead", name=name, field_type="text", personal=personal, description=""
        )
        office.do(declare, custom_fields_id("lead"))
    office.do(CAPTURE, on=1)
    office.do(SetLeadCustomFields(custom={"visits": "many", "nickname": "Annie"}), on=2)
    office.do(SetLeadCustomFields(custom={"nickname": "Nan"}), on=3)
    assert why(office.log, LEAD, "custom.visits").setter.version == 2
    nickname = why(office.log, LEAD, "custom.nickname")
    assert why(office.log, LEAD, "nickname") == nickname
    assert (nickname.value, nickname.previous, nickname.setter.version) == ("Nan", "Annie", 3)


def test_why_follows_the_causes(office: Office):
    office.do(CAPTURE)
    cause = office.log.read_stream(LEAD)[0]
    shared = {"correlation_id": cause.correlation_id}
    office.do(QUALIFY, causation_id=cause.event_id, **shared)
    second = office.log.read_stream(LEAD)[1]
    office.do(AssignLead(owner=EVE), causation_id=second.event_id, **shared)
    found = why(office.log, LEAD, "owner")
    assert [told.type for told in found.causes] == ["lead.qualified.v1", "lead.captured.v1"]
    assert found.together == ()


def test_without_keys_the_past_is_told_and_personal_values_are_not(office: Office):
    office.do(CAPTURE, on=1)
    given = office.workspace
    with Workspace.open(given.directory, given.database_url, keys=False) as without_keys:
        told = history(without_keys.log, LEAD)
    assert told.record["name"] is HIDDEN
    assert told.record["company"] == "Example Ltd"


def test_an_event_that_cannot_be_read_is_named(office: Office):
    position = office.do(CAPTURE).position
    with office.log.cursor() as cursor:
        cursor.execute("UPDATE log_events SET state = '{}' WHERE notification_id = %s", (position,))
    with pytest.raises(EventUnreadable, match=rf"position {position} \(lead.captured.v1\)"):
        history(office.log, LEAD)


def test_what_was_before_an_event_that_cannot_be_read_is_still_known(office: Office):
    before = office.do(CAPTURE).position
    position = office.do(DisqualifyLead(reason="spam")).position
    told = state_at(office.log, LEAD, Bounds(known_at=before))
    with office.log.cursor() as cursor:
        cursor.execute("UPDATE log_events SET state = '{}' WHERE notification_id = %s", (position,))
    assert state_at(office.log, LEAD, Bounds(known_at=before)) == told
    with pytest.raises(EventUnreadable):
        state_at(office.log, LEAD)


def test_reservations_follow_from_the_log(office: Office):
    office.do(CAPTURE)
    office.do(DisqualifyLead(reason="spam"))
    office.do(CaptureLead(name="New", email="ann@example.com", source="web"), OTHER)
    until = office.log.last_position()
    found = recompute(office.log, until)
    assert (found.wrong, found.unreadable, found.sealed) == ([], [], 0)
    assert (found.streams, found.reservations) == (3, 2)
    assert recompute(office.log, until - 1).reservations == 1


@pytest.mark.parametrize(
    ("tampering", "says", "should"),
    [
        ("UPDATE reservation SET taken_position = 999999 WHERE freed_position IS NULL", None, 0),
        ("UPDATE reservation SET freed_position = 2 WHERE freed_position IS NULL", 0, 0),
        ("DELETE FROM reservation", None, 0),
        (f"UPDATE reservation SET stream_id = '{OTHER}'", 0, None),
        ("UPDATE reservation SET hash = 'x'", 0, None),
    ],
)
def test_a_tampered_reservation_is_named(
    office: Office, tampering: str, says: int | None, should: int | None
):
    office.do(CAPTURE)
    with office.log.cursor() as cursor:
        cursor.execute(tampering)
    wrong = recompute(office.log, office.log.last_position() + 1).wrong
    assert wrong
    assert {found.kind for found in wrong} == {"lead.email"}
    assert any((found.recorded is None) == (says is None) for found in wrong)
    assert any((found.recomputed is None) == (should is None) for found in wrong)
    assert str(LEAD) in " ".join(map(str, wrong))
