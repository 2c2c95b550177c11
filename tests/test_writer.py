"""Group commit: in turn, all or nothing, once, and never on a stale state."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from commands.base import Command, On, World, handle
from commands.lead import AssignLead, CaptureLead, DisqualifyLead, EngageLead, QualifyLead
from domain.base import Event
from domain.lead import Lead, LeadNotOpen
from eventstore.batch import WrongAggregate
from eventstore.envelope import uuid7
from eventstore.errors import (
    IdempotencyKeyReused,
    OccurredInTheFuture,
    Overloaded,
    StaleVersion,
)
from eventstore.promise import Promise
from eventstore.reservations import AlreadyHeld
from eventstore.workspace import Workspace
from eventstore.writer import Context, IdempotencyKey, Receipt, Writer
from tests.waiting import wait

if TYPE_CHECKING:
    from collections.abc import Iterator

ANN = UUID(int=1)
CAPTURE = CaptureLead.model_validate(CaptureLead.example)
QUALIFY = QualifyLead.model_validate(QualifyLead.example)


def ask(**more: Any) -> Context:
    return Context(actor=ANN, correlation_id=uuid7(), **more)


@pytest.fixture
def writer(workspace: Workspace) -> Iterator[Writer]:
    with Writer(workspace.log) as started:
        yield started


def do(writer: Writer, command: Command[Any], lead: UUID, **more: Any) -> Receipt:
    return handle(writer, command, lead, ask(**more)).result(30)


def capture(number: int) -> CaptureLead:
    return CaptureLead(name=f"Lead {number}", email=f"lead{number}@example.com", source="web")


def test_a_receipt_tells_version_and_position(writer: Writer):
    lead = uuid7()
    first, second = do(writer, CAPTURE, lead), do(writer, QUALIFY, lead)
    assert (first.version, first.events) == (1, 1)
    assert (second.version, second.events) == (2, 1)
    assert second.position > first.position


def test_a_wish_that_is_true_already_appends_nothing(writer: Writer):
    lead = uuid7()
    do(writer, CAPTURE, lead)
    before = do(writer, QUALIFY, lead)
    again = do(writer, QUALIFY, lead)
    assert (again.version, again.events, again.position) == (2, 0, before.position)


def test_commands_on_one_stream_are_decided_in_turn(writer: Writer, workspace: Workspace):
    lead = uuid7()
    do(writer, CAPTURE, lead)
    wait([handle(writer, EngageLead(kind="call"), lead, ask()) for _ in range(300)])
    events = [recorded.event for recorded in workspace.log.read_stream(lead, 1)]
    assert [event.engagements for event in events] == list(range(1, 301))  # type: ignore[attr-defined]


def test_a_refusal_fails_only_the_one_who_asked(writer: Writer):
    leads = [uuid7() for _ in range(20)]
    wait([handle(writer, capture(n), lead, ask()) for n, lead in enumerate(leads)])
    do(writer, DisqualifyLead(reason="spam"), leads[7])
    answers = [handle(writer, QUALIFY, lead, ask()) for lead in leads]
    wait(answers)
    assert [n for n, answer in enumerate(answers) if answer.exception()] == [7]
    assert isinstance(answers[7].exception(), LeadNotOpen)


def test_if_match_names_the_version_that_was_expected(writer: Writer):
    lead = uuid7()
    do(writer, CAPTURE, lead)
    with pytest.raises(StaleVersion, match="expected version 5"):
        do(writer, QUALIFY, lead, expected_version=5)
    assert do(writer, QUALIFY, lead, expected_version=1).version == 2


def test_one_live_lead_per_address(writer: Writer):
    first, second = uuid7(), uuid7()
    do(writer, CAPTURE, first)
    with pytest.raises(AlreadyHeld):
        do(writer, CAPTURE, second)
    do(writer, DisqualifyLead(reason="spam"), first)
    assert do(writer, CAPTURE, second).version == 1


def test_an_address_freed_in_a_batch_can_be_taken_in_it(writer: Writer, workspace: Workspace):
    leads = [uuid7() for _ in range(10)]
    pause = threading.Event()
    blocker = hold(writer, pause)
    asked = []
    for lead in leads:
        asked.append(handle(writer, CAPTURE, lead, ask()))
        asked.append(handle(writer, DisqualifyLead(reason="duplicate"), lead, ask()))
    pause.set()
    wait([*asked, blocker])
    assert [answer.exception() for answer in asked] == [None] * 20
    with workspace.log.cursor() as cursor:
        cursor.execute("SELECT taken_position, freed_position FROM reservation ORDER BY 1")
        rows = cursor.fetchall()
    positions = [answer.result().position for answer in asked]
    assert [value for row in rows for value in row.values()] == positions


def test_an_address_is_not_given_away_before_its_holder_lets_go_in_the_same_batch(
    writer: Writer, workspace: Workspace
):
    holder, other = uuid7(), uuid7()
    do(writer, CAPTURE, holder)
    pause = threading.Event()
    blocker = hold(writer, pause)
    # Asked without saying what for: the writer has to find out by itself.
    refused = writer.submit(other, Lead, CAPTURE.decided, ask())
    freed = handle(writer, DisqualifyLead(reason="spam"), holder, ask())
    pause.set()
    wait([refused, freed, blocker])
    assert isinstance(refused.exception(), AlreadyHeld)
    with workspace.log.cursor() as cursor:
        cursor.execute("SELECT stream_id, freed_position FROM reservation")
        rows = [tuple(row.values()) for row in cursor.fetchall()]
    assert rows == [(holder, freed.result().position)]


def hold(writer: Writer, pause: threading.Event) -> Promise:
    """Keeps the writer busy, so that what is asked meanwhile goes into one batch."""
    started = threading.Event()

    def decide(_world: World, _lead: Lead) -> Iterator[Event]:
        started.set()
        pause.wait(10)
        yield from ()

    promise = writer.submit(uuid7(), Lead, decide, ask())
    started.wait(10)
    return promise


def test_the_same_key_and_body_gives_the_stored_reply(writer: Writer):
    lead = uuid7()
    key = IdempotencyKey(b"scope", "key", b"digest")
    first = do(writer, CAPTURE, lead, key=key)
    assert do(writer, CAPTURE, uuid7(), key=key) == first
    with pytest.raises(IdempotencyKeyReused):
        do(writer, CAPTURE, lead, key=IdempotencyKey(b"scope", "key", b"other digest"))


def test_a_refusal_is_stored_under_its_key_too(writer: Writer):
    lead = uuid7()
    key = IdempotencyKey(b"scope", "key", b"digest")
    do(writer, CAPTURE, lead)
    do(writer, QUALIFY, lead)
    other = QUALIFY.model_copy(update={"need": 1})
    for _ in range(2):
        with pytest.raises(LeadNotOpen) as refusal:
            do(writer, other, lead, key=key)
        assert refusal.value.details == {"status": "qualified"}


def test_a_key_used_many_times_at_once_counts_once(writer: Writer, workspace: Workspace):
    key = IdempotencyKey(b"scope", "key", b"digest")
    pause = threading.Event()
    blocker = hold(writer, pause)
    asked = [handle(writer, CAPTURE, uuid7(), ask(key=key)) for _ in range(20)]
    pause.set()
    wait([*asked, blocker])
    assert len({answer.result() for answer in asked}) == 1
    assert len(list(workspace.log.read())) == 1


def test_a_command_asked_once_by_its_id_counts_once(writer: Writer, workspace: Workspace):
    lead, command_id = uuid7(), uuid7()
    do(writer, CAPTURE, lead)
    engage = EngageLead(kind="call")
    first = do(writer, engage, lead, command_id=command_id, once=True)
    again = do(writer, engage, lead, command_id=command_id, once=True)
    assert (first.events, again.events) == (1, 0)
    assert again.position == first.position
    assert len(workspace.log.read_stream(lead)) == 2


def test_what_happened_cannot_lie_in_the_future(writer: Writer):
    with pytest.raises(OccurredInTheFuture):
        do(writer, CAPTURE, uuid7(), occurred_at=datetime.now(UTC) + timedelta(hours=1))


def test_what_happened_long_ago_says_when(writer: Writer, workspace: Workspace):
    moment = datetime(2020, 2, 29, 12, tzinfo=UTC)
    do(writer, CAPTURE, uuid7(), occurred_at=moment)
    (recorded,) = workspace.log.read()
    assert recorded.occurred_at == moment
    assert recorded.recorded_at > moment


def test_an_id_belongs_to_one_kind_of_record(writer: Writer):
    from commands.user import RegisterUser  # noqa: PLC0415

    user = uuid7()
    do(writer, RegisterUser.model_validate(RegisterUser.example), user)
    with pytest.raises(WrongAggregate):
        do(writer, AssignLead(owner=ANN), user)


def test_a_full_queue_says_so_and_does_nothing(workspace: Workspace):
    with Writer(workspace.log, waiting_max=3) as writer:
        pause = threading.Event()
        blocker = hold(writer, pause)
        asked = [handle(writer, capture(n), uuid7(), ask()) for n in range(10)]
        pause.set()
        wait([*asked, blocker])
        refused = [answer for answer in asked if isinstance(answer.exception(), Overloaded)]
        assert len(refused) == 7
        assert len(list(workspace.log.read())) == 3


def test_a_bug_in_one_decision_leaves_its_neighbours_alone(writer: Writer):
    def decide(_world: World, _lead: Lead) -> Iterator[Event]:
        raise ZeroDivisionError

    pause = threading.Event()
    blocker = hold(writer, pause)
    bad = writer.submit(uuid7(), Lead, decide, ask())
    good = handle(writer, CAPTURE, uuid7(), ask())
    pause.set()
    wait([blocker, bad, good])
    assert isinstance(bad.exception(), ZeroDivisionError)
    assert good.result().version == 1


def test_events_for_several_streams_are_stored_together_or_not_at_all(
    writer: Writer, workspace: Workspace
):
    captured = next(iter(_capturing().decide_in(None, Lead())))
    do(writer, CAPTURE, taken := uuid7())

    def decide(world: World, _lead: Lead) -> Iterator[Any]:
        yield captured
        yield On(world.new_id("twin"), captured.model_copy(update={"email": "ann@example.com"}))

    with pytest.raises(AlreadyHeld):
        writer.submit(uuid7(), Lead, decide, ask()).result(10)
    assert {recorded.stream_id for recorded in workspace.log.read()} == {taken}


def _capturing() -> CaptureLead:
    return CaptureLead(name="Bob Example", email="bob@example.com", source="web")


def test_recorded_at_never_runs_backwards(writer: Writer, workspace: Workspace):
    wait([handle(writer, capture(n), uuid7(), ask()) for n in range(500)])
    times = [recorded.recorded_at for recorded in workspace.log.read()]
    assert times == sorted(times)
    assert len(times) == 500


def test_two_writers_see_each_others_events_at_once(workspace: Workspace):
    lead = uuid7()
    with Writer(workspace.log) as one, Writer(workspace.log) as two:
        do(one, CAPTURE, lead)
        do(two, AssignLead(owner=ANN), lead)
        do(one, QUALIFY, lead)
        # The cache of `two` ends at version 2; a decision on it would qualify once more.
        assert do(two, QUALIFY, lead).events == 0
        do(one, DisqualifyLead(reason="spam"), lead)
        with pytest.raises(LeadNotOpen, match="disqualified"):
            do(two, QUALIFY, lead)


def test_those_who_were_answered_are_waited_for_until_all_have_asked_again(workspace: Workspace):
    with Writer(workspace.log, gather_seconds=60) as writer:
        pause = threading.Event()
        blocker = hold(writer, pause)
        first = [handle(writer, capture(number), uuid7(), ask()) for number in range(10)]
        pause.set()
        wait([blocker, *first])
        again = [handle(writer, capture(10 + number), uuid7(), ask()) for number in range(10)]
        wait(again)
    times = [recorded.recorded_at for recorded in workspace.log.read()]
    assert len(set(times[10:])) == 1
