"""What refers to a merged record is shown with the one it was merged into, at every moment."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from commands.activity import LogActivity
from commands.contact import (
    ChangeContactPhone,
    CreateContact,
    GrantConsent,
    WithdrawConsent,
)
from commands.customer import CreateCustomer
from commands.deal import OpenDeal, WinDeal
from commands.merger import (
    MergeContact,
    MergeCustomer,
    MergeTicket,
    UnmergeContact,
    UnmergeCustomer,
    UnmergeTicket,
)
from commands.pipeline import DefinePipeline
from commands.ticket import OpenTicket, ReplyToTicket
from eventstore.workspace import Workspace
from replay.tables import Here, catch_up, open_tables
from replay.verify import verify
from tests.databases import empty_database
from tests.test_retraction import followed, tell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from commands.base import Command
    from readmodels.base import Database

ACME, ZETA, ANN, ANNE, PIPELINE, DEAL, CALL, ASKED, AGAIN = (
    UUID(int=number, version=4) for number in range(200, 209)
)
WHY = "Typed in twice"
OPENED = {"name": "40 seats", "pipeline_id": PIPELINE, "amount": "100", "currency": "EUR"}
STORY: tuple[tuple[UUID, Command[Any]], ...] = (
    (ACME, CreateCustomer(name="Acme")),
    (ZETA, CreateCustomer(name="Zeta", website="zeta.example.com", parent_id=ACME)),
    (ANN, CreateContact(name="Ann", email="ann@example.com", customer_id=ACME, role="user")),
    (ANNE, CreateContact(name="Anne", email="anne@gmail.com", customer_id=ZETA)),
    (ANNE, GrantConsent(channel="email", source="Fair")),
    (ANN, WithdrawConsent(channel="email", source="Letter")),
    (PIPELINE, DefinePipeline(**DefinePipeline.example)),
    (DEAL, OpenDeal(**OPENED, customer_id=ZETA, contact_id=ANNE)),
    (DEAL, WinDeal()),
    (CALL, LogActivity(kind="call", contact_id=ANNE, direction="outbound")),
    (ASKED, OpenTicket(title="Help", channel="web", customer_id=ACME, contact_id=ANN)),
    (AGAIN, OpenTicket(title="Help!", channel="web", customer_id=ZETA, contact_id=ANNE)),
    (AGAIN, ReplyToTicket(body="Soon")),
)
MERGERS: tuple[tuple[UUID, Command[Any]], ...] = (
    (ZETA, MergeCustomer(into=ACME, take=("website",), reason=WHY)),
    (ANNE, MergeContact(into=ANN, take=("name", "email"), reason=WHY)),
    (AGAIN, MergeTicket(into=ASKED, reason=WHY)),
)
UNMERGERS: tuple[tuple[UUID, Command[Any]], ...] = (
    (AGAIN, UnmergeTicket(reason="Two")),
    (ANNE, UnmergeContact(reason="Two")),
    (ZETA, UnmergeCustomer(reason="Two")),
)


@pytest.fixture(scope="module")
def told(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Database, int, int, int]]:
    """The tables after all of it, and the positions before, between and after."""
    folder = tmp_path_factory.mktemp("merged")
    with empty_database(postgres_url) as url, Workspace.open(folder, url) as workspace:
        ends = []
        for part in (STORY, MERGERS, UNMERGERS):
            tell(workspace, *part)
            ends.append(workspace.log.last_position())
        with followed(workspace, folder) as database:
            assert verify(workspace, Here(database)).findings == []
            before, between, after = ends
            yield database, before, between, after


def ids(database: Database, sql: str, known_at: int) -> set[Any]:
    frame = database.sql_as_of(sql, known_at=known_at)
    return {row if len(row) > 1 else row[0] for row in frame.rows()}


SEEN: tuple[tuple[str, set[Any], set[Any]], ...] = (
    ("SELECT id FROM customer", {str(ACME)}, {str(ACME), str(ZETA)}),
    ("SELECT id FROM contact", {str(ANN)}, {str(ANN), str(ANNE)}),
    ("SELECT id FROM ticket", {str(ASKED)}, {str(ASKED), str(AGAIN)}),
    ("SELECT customer_id, contact_id FROM deal", {(ACME, ANN)}, {(ZETA, ANNE)}),
    ("SELECT customer_id FROM deal_closed", {ACME}, {ZETA}),
    ("SELECT contact_id FROM interaction", {ANN}, {ANNE}),
    (
        "SELECT id, customer_id, role FROM contact_role",
        {(ANN, ACME, "other")},
        {(ANN, ACME, "user"), (ANNE, ZETA, "other")},
    ),
    (
        "SELECT id, status FROM contact_consent",
        {(ANN, "withdrawn")},
        {(ANN, "withdrawn"), (ANNE, "granted")},
    ),
    ("SELECT website FROM customer WHERE name = 'Acme'", {"zeta.example.com"}, {None}),
    ("SELECT email_kind FROM contact", {"free"}, {"free", "business"}),
    (
        "SELECT customer_id, deals_won, tickets, contacts FROM customer_profile()",
        {(ACME, 1, 1, 1)},
        {(ACME, 0, 1, 1), (ZETA, 1, 1, 1)},
    ),
    (f"SELECT deal_id FROM customer_deals('{ACME}')", {DEAL}, set()),
    (
        f"SELECT id FROM customer_records('{ACME}')",
        {ACME, ZETA, ANN, ANNE, DEAL, CALL, ASKED, AGAIN},
        {ACME, ANN, ASKED},
    ),
    (f"SELECT channel, consented FROM contact_sendings('{ANN}')", {("phone", False)}, set()),
    ("SELECT sum(tickets)::INT FROM ticket_backlog()", {1}, {2}),
    ("SELECT arg_max(backlog, day)::INT FROM ticket_backlog_daily()", {1}, {2}),
)


@pytest.mark.parametrize(("sql", "merged", "alone"), SEEN, ids=[one[0][:60] for one in SEEN])
def test_what_refers_to_the_merged_one_is_shown_with_the_survivor_while_it_is_merged(
    told: tuple[Database, int, int, int], sql: str, merged: set[Any], alone: set[Any]
):
    database, before, between, after = told
    texts = [{_text(row) for row in ids(database, sql, at)} for at in (before, between, after)]
    assert texts[1] == {_text(row) for row in merged}
    assert texts[0] == texts[2] == {_text(row) for row in alone}


def _text(row: Any) -> str:
    return " ".join(str(value).lower() for value in (row if isinstance(row, tuple) else (row,)))


def test_personal_values_stay_where_they_are_and_are_shown_with_the_survivor(
    told: tuple[Database, int, int, int],
):
    database, before, between, after = told
    sql = f"SELECT name, email, phone FROM contact_personal WHERE id = '{ANN}'"
    rows = [
        database.sql_as_of(sql, known_at=at, personal=True).rows()
        for at in (before, between, after)
    ]
    assert rows[1] == [("Anne", "anne@gmail.com", None)]
    assert rows[0] == rows[2] == [("Ann", "ann@example.com", None)]


def test_the_rows_before_and_after_are_the_same_but_for_when(
    told: tuple[Database, int, int, int],
):
    database, before, _, after = told
    for name in ("customer", "contact", "ticket"):
        told_at = "version, position, recorded_at, occurred_at, valid_from, valid_to, position_to"
        sql = f"SELECT * EXCLUDE ({told_at}) FROM {name} ORDER BY id"
        was, is_ = (database.sql_as_of(sql, known_at=at) for at in (before, after))
        assert was.height == 2
        assert was.equals(is_)


def test_what_was_changed_since_is_told_as_a_conflict(workspace: Workspace, tmp_path: Any):
    tell(workspace, *STORY, (ANNE, MergeContact(into=ANN, take=("phone",), reason=WHY)))
    tell(workspace, (ANN, ChangeContactPhone(phone="555-0100")), UNMERGERS[1])
    with followed(workspace, tmp_path) as database:
        [row] = database.query("SELECT kind, conflicts FROM undo").rows()
        assert row[0] == "merger"
        assert '"field":"phone"' in row[1].replace(" ", "")


def test_tables_follow_mergers_from_the_first_on(postgres_url: str, tmp_path: Path):
    with empty_database(postgres_url) as url, Workspace.open(tmp_path, url) as workspace:
        tell(workspace, *STORY)
        with closing(open_tables(workspace)) as tables:
            catch_up(tables, workspace.log, workspace.log.last_position())
            assert not tables.database.merged
            tell(workspace, *MERGERS)
            catch_up(tables, workspace.log, workspace.log.last_position())
            assert tables.database.merged
            last = workspace.log.last_position()
            for sql, merged, _ in SEEN:
                found = {_text(row) for row in ids(tables.database, sql, last)}
                assert found == {_text(row) for row in merged}, sql
            digests = tables.digests()
        with closing(open_tables(workspace)) as tables:
            assert tables.database.merged
            assert tables.digests() == digests
