"""Decided before the log is locked, and as true as under the lock: whoever else writes."""

from __future__ import annotations

import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from commands.base import Command, handle
from commands.lead import CaptureLead, DisqualifyLead, EngageLead, QualifyLead, RetractLead
from commands.subject import ForgetLead
from domain.base import Event, Refusal
from domain.lead import Lead, LeadDisqualified, LeadNotOpen
from eventstore.envelope import NewEvent, uuid7
from eventstore.errors import IdempotencyKeyReused, StaleVersion
from eventstore.forgetting import SubjectIsForgotten
from eventstore.optimistic import WARY_MAX, Trust
from eventstore.reservations import AlreadyHeld
from eventstore.transaction import End
from eventstore.workspace import Workspace
from eventstore.writer import Context, IdempotencyKey, Receipt, Writer
from tests.databases import empty_database
from tests.test_writer import do
from tests.waiting import wait

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore.promise import Promise

ANN = UUID(int=1)
LEADS = [UUID(int=number, version=4) for number in range(1, 5)]
EMAILS = ("ann@example.com", "bob@example.com", None)
QUALIFY = QualifyLead.model_validate(QualifyLead.example)


def capture(email: str | None) -> CaptureLead:
    return CaptureLead(name="Ann", email=email, source="web")


@dataclass(frozen=True)
class Asked:
    """A command, as a client asks it."""

    lead: int
    command: Command[Lead]
    key: str | None = None
    expected_version: int | None = None


asked = st.builds(
    Asked,
    st.integers(0, len(LEADS) - 1),
    st.one_of(
        st.builds(capture, st.sampled_from(EMAILS)),
        st.just(QUALIFY),
        st.just(EngageLead(kind="call")),
        st.sampled_from(["spam", "no_need"]).map(lambda why: DisqualifyLead(reason=why)),
        st.just(RetractLead(reason="by mistake")),
    ),
    st.none() | st.sampled_from(["one", "two", "three"]),
    st.none() | st.integers(0, 3),
)


@dataclass
class Oracle:
    """What has to be answered: each command by itself, one after the other, on all before it."""

    leads: dict[int, tuple[int, Lead]] = field(default_factory=dict)
    replies: dict[str, tuple[bytes, Any]] = field(default_factory=dict)
    events: dict[int, list[Event]] = field(default_factory=dict)
    position: int = 0

    def answer(self, one: Asked) -> Any:
        if one.key is None:
            return self._decide(one)
        if known := self.replies.get(one.key):
            return known[1] if known[0] == digest(one) else IdempotencyKeyReused
        answer = self._decide(one)
        if answer is not StaleVersion:
            self.replies[one.key] = digest(one), answer
        return answer

    def _decide(self, one: Asked) -> Any:
        version, lead = self.leads.get(one.lead, (0, Lead()))
        if one.expected_version not in (None, version):
            return StaleVersion
        try:
            events = list(one.command.decide_in(None, lead))
        except Refusal as refusal:
            return type(refusal)
        after = lead
        for event in events:
            after = after.evolve(event)
        others = [held for n, (_, held) in self.leads.items() if n != one.lead]
        if set(after.holds()) & {claim for held in others for claim in held.holds()}:
            return AlreadyHeld
        self.leads[one.lead] = version + len(events), after
        self.events.setdefault(one.lead, []).extend(events)
        self.position += len(events)
        return version + len(events), self.position, len(events)


def digest(one: Asked) -> bytes:
    return f"{one.lead} {one.command!r}".encode()


def told(promise: Promise) -> Any:
    error = promise.exception(30)
    if error is not None:
        return type(error)
    receipt: Receipt = promise.result()
    return receipt.version, receipt.position, receipt.events


class TwoWriters(RuleBasedStateMachine):
    """Two writers of one log, neither of which knows of the other; each trusts that it is alone."""

    def __init__(self, database_url: str) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        folder, name = Path(self.directory.name), f"w{uuid7().hex}"
        self.workspaces = [Workspace.open(folder, database_url, name) for _ in range(2)]
        self.writers = [Writer(workspace.log).start() for workspace in self.workspaces]
        self.oracle = Oracle()

    @rule(which=st.integers(0, 1), several=st.lists(asked, min_size=1, max_size=8))
    def ask(self, which: int, several: list[Asked]) -> None:
        """Several at once: they come into one batch, or into two."""
        promises = [self.submit(self.writers[which], one) for one in several]
        assert [told(promise) for promise in promises] == [
            self.oracle.answer(one) for one in several
        ]

    @rule(which=st.integers(0, 1), several=st.lists(asked, min_size=4, max_size=8))
    def ask_singly(self, which: int, several: list[Asked]) -> None:
        """One writer has the log to itself for a while, and comes to trust in it."""
        for one in several:
            assert told(self.submit(self.writers[which], one)) == self.oracle.answer(one)

    @rule(which=st.integers(0, 1))
    def begin_anew(self, which: int) -> None:
        """A process that was restarted knows nothing."""
        self.writers[which].close()
        self.writers[which] = Writer(self.workspaces[which].log).start()

    def submit(self, writer: Writer, one: Asked) -> Promise:
        key = None if one.key is None else IdempotencyKey(b"all", one.key, digest(one))
        context = Context(ANN, uuid7(), key=key, expected_version=one.expected_version)
        return handle(writer, one.command, LEADS[one.lead], context)

    @invariant()
    def the_log_holds_what_was_answered(self) -> None:
        log = self.workspaces[0].log
        for lead, events in self.oracle.events.items():
            assert [recorded.event for recorded in log.read_stream(LEADS[lead])] == events

    def teardown(self) -> None:
        for writer, workspace in zip(self.writers, self.workspaces, strict=True):
            writer.close()
            workspace.close()
        self.directory.cleanup()


def test_two_writers_answer_as_if_each_command_were_alone(postgres_url: str):
    with empty_database(postgres_url) as url:
        run_state_machine_as_test(
            lambda: TwoWriters(url), settings=settings(max_examples=25, stateful_step_count=12)
        )


@pytest.fixture
def trusting(workspace: Workspace) -> Iterator[Writer]:
    """A writer that has been alone for a while."""
    with Writer(workspace.log) as writer:
        for number in range(5):
            do(writer, capture(f"lead{number}@example.com"), uuid7())
        yield writer


@pytest.fixture
def elsewhere(workspace: Workspace) -> Iterator[Workspace]:
    """The same workspace, as another process has it."""
    with Workspace.open(workspace.directory, workspace.database_url) as opened:
        yield opened


def decided(writer: Writer, lead: UUID, command: Command[Any]) -> Promise:
    """Ask, and wait until it was decided, for the first time at least."""
    once = threading.Event()

    def decide(world: Any, state: Lead) -> Any:
        once.set()
        return command.decide_in(world, state)

    promise = writer.submit(lead, Lead, decide, Context(ANN, uuid7()))
    assert once.wait(10)
    return promise


def test_who_has_been_alone_decides_before_the_log_is_free(trusting: Writer, elsewhere: Workspace):
    lead = uuid7()
    do(trusting, capture("ann@example.com"), lead)
    with elsewhere.log.transaction():
        promise = decided(trusting, lead, QUALIFY)
        assert not promise.done()
    assert promise.result(10).version == 2


def test_what_somebody_else_wrote_meanwhile_is_heeded(trusting: Writer, elsewhere: Workspace):
    lead = uuid7()
    do(trusting, capture("ann@example.com"), lead)
    given_up = LeadDisqualified(reason="spam", note="")
    with elsewhere.log.transaction() as turn:
        promise = decided(trusting, lead, QUALIFY)
        turn.append([NewEvent(uuid7(), lead, 2, None, ANN, uuid7(), None, given_up)])
    with pytest.raises(LeadNotOpen):
        promise.result(10)


def test_a_refusal_is_not_told_on_what_may_be_old(trusting: Writer, elsewhere: Workspace):
    lead = uuid7()
    do(trusting, capture("ann@example.com"), lead)
    do(trusting, DisqualifyLead(reason="spam"), lead)
    with Writer(elsewhere.log) as other:
        do(other, RetractLead(reason="by mistake"), lead)
        do(other, capture("ann@example.com"), lead)
    for number in range(5):  # it looks under the lock again, and trusts again
        do(trusting, capture(f"other{number}@example.com"), uuid7())
    assert do(trusting, QUALIFY, lead).version == 5


def test_nothing_personal_is_taken_in_about_who_was_just_forgotten(trusting: Writer):
    lead = uuid7()
    do(trusting, capture("ann@example.com"), lead)
    context = Context(ANN, uuid7())
    handle(trusting, ForgetLead(reason="asked for it"), lead, context).result(30)
    said = EngageLead(kind="call", note="Ann called")
    answers = [handle(trusting, said, lead, Context(ANN, uuid7())) for _ in range(3)]
    wait(answers)
    assert {type(answer.exception()) for answer in answers} == {SubjectIsForgotten}


def test_trust_that_is_broken_again_and_again_is_given_ever_more_rarely():
    end = End(1, uuid7())
    trust = Trust()
    trust.end = end
    waited = []
    for _ in range(9):
        batches = 0
        while not trust.given:
            assert trust.found(end)
            batches += 1
        waited.append(batches)
        trust.broken()
    assert waited == [1, 1, 2, 4, 8, 16, 32, WARY_MAX, WARY_MAX]


def test_where_others_write_nobody_trusts():
    trust = Trust()
    for position in range(1, 100):
        assert not trust.found(End(position, uuid7()))
        assert not trust.given
