"""Mergers, conversions, edits, undos and forgetting in any order, against the database."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID

from hypothesis import HealthCheck, Phase, example, settings
from hypothesis import given as whatever
from hypothesis import strategies as st

from commands.contact import ChangeContactEmail, CreateContact, RenameContact, RetractContact
from commands.conversion import ConvertLead
from commands.customer import ChangeCustomerTier, CreateCustomer
from commands.lead import CaptureLead, QualifyLead
from commands.merger import MergeContact, MergeCustomer, UnmergeContact, UnmergeCustomer
from commands.subject import ForgetContact, ForgetLead
from commands.unconversion import UnconvertLead
from domain.base import Refusal
from domain.user import SYSTEM
from eventstore.envelope import uuid7
from eventstore.workspace import Workspace
from eventstore.writer import Context, Writer
from replay.tables import Here
from replay.verify import verify
from tests.examples import BANT
from tests.test_retraction import followed

if TYPE_CHECKING:
    from commands.base import Command

A, B, C, LEAD, ACME, ZETA = (UUID(int=number, version=4) for number in range(300, 306))
CONTACTS = st.sampled_from([A, B, C])
NAMES = {A: "Ann Secret", B: "Bea Secret", C: "Cid Secret"}
BEGIN: tuple[tuple[UUID, Command[Any]], ...] = (
    (ACME, CreateCustomer(name="Acme")),
    (ZETA, CreateCustomer(name="Zeta")),
    (LEAD, CaptureLead(name="Lea Secret", email="lea@example.com", source="web")),
    *(
        (id, CreateContact(name=name, email=f"{name[:3].lower()}@example.com"))
        for id, name in NAMES.items()
    ),
)
TAKES = st.lists(st.sampled_from(["name", "email", "title"]), unique=True).map(tuple)
WISHES = st.one_of(
    st.tuples(CONTACTS, st.builds(MergeContact, into=CONTACTS, take=TAKES, reason=st.just("One"))),
    st.tuples(CONTACTS, st.builds(UnmergeContact, reason=st.just("Two"))),
    st.tuples(CONTACTS, st.builds(UnmergeContact, reason=st.just("Two"))),
    st.tuples(CONTACTS, st.builds(RenameContact, name=st.sampled_from(["Dot", "Eve"]))),
    st.tuples(
        CONTACTS,
        st.builds(ChangeContactEmail, email=st.sampled_from(["x@example.com", "lea@example.com"])),
    ),
    st.tuples(CONTACTS, st.just(RetractContact(reason="Mistake"))),
    st.tuples(CONTACTS, st.just(ForgetContact(reason="Asked"))),
    st.tuples(st.just(LEAD), st.just(ForgetLead(reason="Asked"))),
    st.tuples(st.just(LEAD), st.just(QualifyLead(**BANT))),
    st.tuples(st.just(LEAD), st.builds(ConvertLead, customer_id=st.sampled_from([None, ACME]))),
    st.tuples(st.just(LEAD), st.just(UnconvertLead(reason="Wrong"))),
    st.tuples(st.just(ZETA), st.just(MergeCustomer(into=ACME, take=("tier",), reason="One"))),
    st.tuples(st.just(ZETA), st.just(UnmergeCustomer(reason="Two"))),
    st.tuples(st.just(ACME), st.builds(ChangeCustomerTier, tier=st.sampled_from(["premium"]))),
)


def ask(writer: Writer, stream_id: UUID, command: Command[Any]) -> None:
    context = Context(SYSTEM, uuid7())
    wish = command.of, command.decided, context, command.looks()
    writer.submit(stream_id, *wish).result(30)


@settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)
@whatever(st.lists(WISHES, min_size=12, max_size=24))
@example(
    [
        (B, MergeContact(into=A, take=("name", "email"), reason="One")),
        (LEAD, QualifyLead(**BANT)),
        (LEAD, ConvertLead()),
        (C, MergeContact(into=A, take=("name",), reason="One")),
        (B, UnmergeContact(reason="Two")),
        (LEAD, UnconvertLead(reason="Wrong")),
        (B, ForgetContact(reason="Asked")),
        (A, ForgetContact(reason="Asked")),
    ]
)
def test_in_any_order_all_follows_from_the_log_and_who_is_forgotten_is_nowhere(
    tmp_path_factory: Any, database_url: str, wishes: list[tuple[UUID, Command[Any]]]
):
    folder = tmp_path_factory.mktemp("lives")
    schema = f"w{uuid7().hex[-12:]}"
    with (
        Workspace.open(folder, database_url, schema) as workspace,
        Writer(workspace.log) as writer,
    ):
        for stream_id, command in BEGIN:
            ask(writer, stream_id, command)
        half = len(wishes) // 2
        for part in (wishes[:half], wishes[half:]):
            with followed(workspace, folder):
                pass  # what is forgotten later was shown before
            for stream_id, command in part:
                with suppress(Refusal):
                    ask(writer, stream_id, command)
        with followed(workspace, folder) as database:
            assert verify(workspace, Here(database)).findings == []
            gone = {str(id) for id in workspace.log.forgotten.gone}
            shown = database.query("SELECT id, name FROM contact_personal", personal=True).rows()
            assert not [name for id, name in shown if str(id) in gone and name]
            rows = database.query("FROM contact_personal_history", personal=True).to_dicts()
            for id, name in NAMES.items():
                told = [row for row in rows if name in str(row)]
                assert not (told and str(id) in gone)
            alive = set(database.query("SELECT id::VARCHAR AS id FROM contact")["id"])
            merged = dict(database.query("SELECT id, merged_into FROM records_merged()").rows())
            assert alive.isdisjoint(map(str, merged))
            assert {str(into) for into in merged.values()} <= alive | {str(ACME)}
            with workspace.log.cursor() as cursor:
                held = cursor.execute(
                    "SELECT hash FROM reservation WHERE freed_position IS NULL"
                ).fetchall()
            assert len(held) == len({bytes(row["hash"]) for row in held})
