"""A person who is forgotten is gone from everywhere, and everything else stays as it was."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from api.node import Node
from commands.base import Command, handle
from commands.contact import ArchiveContact, CreateContact, RetractContact
from commands.customer import CreateCustomer
from commands.subject import ForgetContact, ForgetCustomer
from commands.ticket import OpenTicket, ReplyToTicket
from domain.base import HIDDEN, fold
from domain.contact import Contact
from eventstore.envelope import uuid7
from eventstore.forgetting import SubjectIsForgotten
from eventstore.workspace import Workspace
from eventstore.writer import Context, Receipt, Writer
from replay.rebuild import open_renewed
from replay.scan import decoded
from replay.snapshot import Format, write_snapshot
from replay.tables import Here, catch_up, folder_of, open_tables
from replay.verify import verify
from tests.doors import Client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BOSS = UUID(int=0xB055)
ANN, BOB, ACME, TICKET, LEAD = (UUID(int=0xF0 + number) for number in range(5))
NAME = "Ann Confidential"
EMAIL = "ann@confidential.example.com"
BODY = "My password is swordfish"
WHY = "Asked for by e-mail"

STORY: tuple[tuple[UUID, Command[Any]], ...] = (
    (ACME, CreateCustomer(name="Acme")),
    (ANN, CreateContact(name=NAME, email=EMAIL, phone="+49 30 5550100", customer_id=ACME)),
    (BOB, CreateContact(name="Bob Remains", email="bob@example.com")),
    (TICKET, OpenTicket(title="Login fails", body=BODY, channel="email", customer_id=ACME)),
)


def do(writer: Writer, stream: UUID, command: Command[Any]) -> Receipt:
    return handle(writer, command, stream, Context(BOSS, uuid7())).result(30)


@pytest.fixture
def told(workspace: Workspace) -> Workspace:
    with Writer(workspace.log) as writer:
        for stream, command in STORY:
            do(writer, stream, command)
    with closing(open_tables(workspace)) as tables:
        catch_up(tables, workspace.log, workspace.log.last_position())
    return workspace


def forget(workspace: Workspace, id: UUID = ACME, command: Command[Any] | None = None) -> Receipt:
    with Writer(workspace.log) as writer:
        return do(writer, id, command or ForgetCustomer(reason=WHY))


def first(workspace: Workspace) -> Any:
    """How the contact began, as anybody reads it now."""
    return workspace.log.read_stream(ANN)[0].event


def keys(workspace: Workspace) -> set[UUID]:
    with workspace.log.cursor() as cursor:
        return {row["subject"] for row in cursor.execute("SELECT subject FROM subject_key")}


def test_the_keys_go_with_the_event_that_says_so(told: Workspace):
    assert keys(told) >= {ACME, ANN, BOB, TICKET}
    forget(told)
    assert keys(told) == {BOB}
    contact = fold(Contact(), (recorded.event for recorded in told.log.read_stream(ANN)))
    assert (contact.name, contact.email, contact.status) == (HIDDEN, HIDDEN, "active")


def test_who_was_taken_back_is_forgotten_like_anybody_else(told: Workspace):
    with Writer(told.log) as writer:
        do(writer, ANN, RetractContact(reason="Typed into the wrong system"))
        do(writer, BOB, RetractContact(reason="Typed into the wrong system"))
    assert first(told).name == NAME
    forget(told)
    assert keys(told) == {BOB}
    forget(told, BOB, ForgetContact(reason=WHY))
    assert keys(told) == set()
    assert first(told).name is HIDDEN
    with closing(open_tables(told)) as tables:
        catch_up(tables, told.log, told.log.last_position())
        history = "SELECT name FROM contact_personal_history WHERE name IS NOT NULL"
        assert tables.database.query(history, personal=True).is_empty()
        assert verify(told, Here(tables.database)).findings == []


def test_nothing_personal_is_taken_in_about_who_was_forgotten(told: Workspace):
    forget(told)
    with Writer(told.log) as writer:
        for stream, command in (
            (TICKET, ReplyToTicket(body="Dear Ann")),
            (uuid7(), OpenTicket(title="Again", body="x", channel="email", customer_id=ACME)),
        ):
            with pytest.raises(SubjectIsForgotten):
                do(writer, stream, command)
        assert do(writer, ANN, ArchiveContact(reason="Forgotten")).events == 1
        assert do(writer, ACME, ForgetCustomer(reason="Once more")).events == 0
    assert keys(told) == {BOB}


def test_what_comes_in_the_same_batch_is_refused_too(told: Workspace):
    writer = Writer(told.log)
    wishes = [
        (TICKET, ReplyToTicket(body="Before")),
        (ACME, ForgetCustomer(reason=WHY)),
        (TICKET, ReplyToTicket(body="After")),
        (BOB, ArchiveContact(reason="Left")),
    ]
    answers = [handle(writer, c, s, Context(BOSS, uuid7())) for s, c in wishes]
    with writer:
        outcomes = [answer.exception(30) for answer in answers]
    assert [type(error) for error in outcomes] == [
        type(None),
        type(None),
        SubjectIsForgotten,
        type(None),
    ]


def test_another_process_heeds_it_at_its_next_turn(told: Workspace):
    with Workspace.open(told.directory, told.database_url) as other, Writer(other.log) as writer:
        do(writer, TICKET, ReplyToTicket(body="Dear Ann"))
        forget(told)
        with pytest.raises(SubjectIsForgotten):
            do(writer, TICKET, ReplyToTicket(body="Dear Ann"))
        assert first(other).name is HIDDEN


def test_the_address_is_free_again(told: Workspace):
    forget(told)
    with Writer(told.log) as writer:
        again = CreateContact(name="Ann Again", email=EMAIL)
        assert do(writer, uuid7(), again).events == 1
        do(writer, ANN, ArchiveContact(reason="Forgotten"))
        with pytest.raises(Exception, match="already has this"):
            do(writer, uuid7(), again)


def test_an_older_backup_of_the_keys_opens_nothing(told: Workspace):
    with told.log.cursor() as cursor:
        backup = cursor.execute("SELECT subject, wrapped FROM subject_key").fetchall()
    forget(told)
    with told.log.cursor() as cursor:
        cursor.execute("DELETE FROM subject_key")
        cursor.executemany(
            "INSERT INTO subject_key (subject, wrapped) VALUES (%s, %s)",
            [(row["subject"], row["wrapped"]) for row in backup],
        )
    assert first(told).name is HIDDEN
    with closing(open_renewed(told)) as tables:
        found = verify(told, Here(tables.database))
        assert {finding.kind for finding in found.findings} >= {"key"}
    with Workspace.open(told.directory, told.database_url) as restored:
        assert keys(restored) == {BOB}
        assert first(restored).name is HIDDEN


def test_the_tables_forget_digests_stay_and_all_follows_from_the_log(told: Workspace):
    with closing(open_tables(told)) as tables:
        before = tables.digests()
        names = "SELECT name FROM contact_personal WHERE name IS NOT NULL ORDER BY 1"
        assert tables.database.query(names, personal=True)["name"].to_list() == [
            NAME,
            "Bob Remains",
        ]
        forget(told)
        catch_up(tables, told.log, told.log.last_position())
        assert tables.leftovers
        assert tables.database.query(names, personal=True)["name"].to_list() == ["Bob Remains"]
        after = tables.digests()
        assert {n for n in before if before[n] != after[n]} == {"event", "stream", "subject"}
        assert verify(told, Here(tables.database)).findings == []
    with closing(open_renewed(told)) as tables:
        assert not tables.leftovers
        assert tables.digests() == after
        assert verify(told, Here(tables.database)).findings == []
    stored = [path for path in folder_of(told.directory).rglob("personal-*") if path.is_file()]
    assert len(stored) == 1
    for value in (NAME, EMAIL, BODY):
        assert value.encode() not in stored[0].read_bytes()
    assert b"Bob Remains" in stored[0].read_bytes()


def test_an_export_with_names_holds_nothing_of_who_was_forgotten_not_even_in_deleted_pages(
    told: Workspace, tmp_path: Path
):
    def exported(how: Format, name: str) -> str:
        write_snapshot(tables, told, tmp_path / name, how, personal=True)
        files = [path for path in (tmp_path / name).rglob("*") if path.is_file()]
        return b"\n".join(part for path in files for part in decoded(path)).decode(
            "utf-8", "replace"
        )

    with closing(open_tables(told)) as tables:
        for how in Format:
            found = exported(how, f"before-{how.value}")
            assert all(value in found for value in (NAME, EMAIL, BODY)), "the control"
        forget(told)
        catch_up(tables, told.log, told.log.last_position())
        assert tables.leftovers, "the file it is taken from may still hold the values"
        for how in Format:
            found = exported(how, f"after-{how.value}")
            assert "Bob Remains" in found
            assert not any(value in found for value in (NAME, EMAIL, BODY))


@pytest.fixture
def node(database_url: str, tmp_path: Path) -> Iterator[Node]:
    with Node.open(tmp_path, database_url) as opened:
        for stream, command in STORY:
            do(opened.writer, stream, command)
        yield opened


def test_a_server_shows_nothing_at_once_and_cleans_its_files(node: Node):
    with Client(node, BOSS) as boss:
        reply = boss.get(
            f"/contacts/{ANN}", params={"min_position": node.workspace.log.last_position()}
        )
        assert reply.json()["item"]["name"] == NAME
        said = boss.post(f"/customers/{ACME}/forget", {"reason": WHY}).json()
        reply = boss.get(f"/contacts/{ANN}", params={"min_position": said["position"]})
        assert reply.json()["item"]["name"] is None
        history = boss.get(f"/contacts/{ANN}/history").text
        assert NAME not in history
        assert EMAIL not in history
        [subject] = boss.get("/subjects").json()["items"]
        assert (subject["record_id"], subject["reason"]) == (str(ACME), WHY)
        refused = boss.post(f"/tickets/{TICKET}/reply", {"body": "Dear Ann"})
        assert (refused.status_code, refused.json()["type"]) != (200, "")
        until = time.monotonic() + 30
        while node.tables.leftovers and time.monotonic() < until:
            time.sleep(0.05)
        assert not node.tables.leftovers
        assert boss.get(f"/contacts/{BOB}").json()["item"]["name"] == "Bob Remains"
        time.sleep(0.3)
        for path in folder_of(node.workspace.directory).rglob("*.duckdb*"):
            assert NAME.encode() not in path.read_bytes()
