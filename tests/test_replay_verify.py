"""Verify finds what does not follow from the log, and says its name."""

from __future__ import annotations

import re
import shutil
from contextlib import closing
from typing import get_args
from uuid import UUID

import duckdb
import pytest

from commands.base import handle
from commands.lead import CaptureLead, EngageLead, QualifyLead
from eventstore.envelope import uuid7
from eventstore.workspace import Workspace
from eventstore.writer import Context, Writer
from replay.tables import Here, Standing, catch_up, current, open_tables
from replay.verify import Kind, Verdict, misplaced, verify

LEAD = UUID("1eadface-0000-4000-8000-000000000001")
ANN = UUID("0b5e55ed-0000-4000-8000-000000000001")


@pytest.fixture
def workspace(workspace: Workspace) -> Workspace:
    """Two leads, and their tables."""
    wishes = [
        (LEAD, CaptureLead.model_validate(CaptureLead.example)),
        (uuid7(), CaptureLead(name="Bob", email="bob@example.com", source="web")),
        *((LEAD, EngageLead(kind="call")) for _ in range(3)),
        (LEAD, QualifyLead.model_validate(QualifyLead.example)),
    ]
    with Writer(workspace.log) as writer:
        for stream, command in wishes:
            handle(writer, command, stream, Context(ANN, uuid7())).result(30)
    with closing(open_tables(workspace)) as tables:
        catch_up(tables, workspace.log, workspace.log.last_position())
    return workspace


def tamper(workspace: Workspace, *statements: str, file: str = "tables") -> None:
    """Change a file behind everybody's back."""
    (path,) = current(workspace.directory).glob(f"{file}-*.duckdb")
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)


def judged(workspace: Workspace) -> Verdict:
    with closing(open_tables(workspace)) as tables:
        return verify(workspace, Here(tables.database))


def found(workspace: Workspace, kind: str) -> list[str]:
    return [finding.what for finding in judged(workspace).findings if finding.kind == kind]


def test_tables_that_follow_from_the_log_are_good(workspace: Workspace):
    verdict = judged(workspace)
    assert verdict.findings == []
    assert verdict.position == workspace.log.last_position()
    assert all(verdict.tables.values())
    assert {"lead", "lead_personal", "event", "stream"} <= verdict.tables.keys()
    assert verdict.reservations == 2


def test_each_difference_of_a_table_is_named(workspace: Workspace):
    tamper(
        workspace,
        "UPDATE stored.lead_current SET company = 'Other' WHERE company IS NOT NULL",
        "DELETE FROM stored.event WHERE position = (SELECT max(position) FROM stored.event)",
        "INSERT INTO stored.engagement FROM stored.engagement ORDER BY position LIMIT 1",
        "UPDATE stored.stream SET version = 9 WHERE version = 1",
    )
    tamper(
        workspace,
        "UPDATE stored.lead_personal_current SET name = 'Eve' WHERE name = 'Bob'",
        file="personal",
    )
    said = found(workspace, "table")
    for expected in (
        r"table lead, row id 1eadface.*: company is 'Other', the log says 'Example Ltd'",
        r"table lead_personal, row id .*: name is 'Eve', the log says 'Bob'",
        r"table event, row position \d+ .*: the row is missing",
        r"table engagement, row position \d+ .*: the row does not follow .* stands there twice",
        r"table stream, row id .*: version is 9, the log says 1",
    ):
        assert [what for what in said if re.fullmatch(expected, what)], said
    assert len(said) == 5


def test_a_moved_bookmark_is_named(workspace: Workspace):
    log, last = workspace.log, workspace.log.last_position()
    on, back = last + 100, last - 1

    def said(main: int, personal: int, end: int) -> list[str]:
        ends = {"tables": end, "personal": 3}
        return list(misplaced(log, Standing({"tables": main, "personal": personal}, ends, {})))

    assert said(last, last, last) == []
    assert said(last, back, last) == said(back, last, back) == []  # as a crash may leave them
    assert said(back, last, last) == [
        f"the bookmark of tables was moved back: it says {back}, rows go on to {last}"
    ]
    assert said(last, last, back) == [
        f"the bookmark of tables was moved on: it says {last}, the rows end at {back}"
    ]
    assert said(on, last, last) == [f"the bookmark of tables says {on}, the log ends at {last}"]
    assert said(last, 1, last) == [
        "the bookmark of personal was moved back: it says 1, rows go on to 3"
    ]
    assert said(last, on, last) == [f"the bookmark of personal says {on}, the log ends at {last}"]


def test_a_bookmark_moved_back_is_the_only_finding(workspace: Workspace):
    tamper(workspace, "UPDATE stored.bookmark SET notification_id = notification_id - 1")
    (finding,) = judged(workspace).findings
    assert finding.kind == "bookmark"


def test_a_bookmark_moved_back_is_named_even_after_the_tables_went_on(workspace: Workspace):
    tamper(workspace, "UPDATE stored.bookmark SET notification_id = notification_id - 1")
    with closing(open_tables(workspace)) as tables:
        catch_up(tables, workspace.log, workspace.log.last_position())
        verdict = verify(workspace, Here(tables.database))
    (what,) = [finding.what for finding in verdict.findings if finding.kind == "bookmark"]
    assert re.match(r"the events from position (\d+) to \1 were taken twice", what)
    assert not verdict.tables["lead"]


def test_a_bookmark_moved_past_events_is_named(workspace: Workspace):
    """Tables that are behind, and say they are not."""
    with Writer(workspace.log) as writer:
        wish = EngageLead(kind="reply")
        handle(writer, wish, LEAD, Context(ANN, uuid7())).result(30)
    tamper(workspace, "UPDATE stored.bookmark SET notification_id = notification_id + 1")
    (what,) = found(workspace, "bookmark")
    assert re.search(r"the bookmark of tables was moved on: it says \d+, the rows end at", what)


def test_what_was_changed_in_postgresql_is_named(workspace: Workspace):
    position = workspace.log.last_position()
    with workspace.log.cursor() as cursor:
        cursor.execute("INSERT INTO log_tracking VALUES ('learning.LeadConversion', 1000)")
        cursor.execute(
            "UPDATE log_events SET state = convert_to(replace(convert_from(state, 'UTF8'), "
            "'\"budget\":3', '\"budget\":\"lots\"'), 'UTF8') WHERE notification_id = %s",
            (position,),
        )
        cursor.execute(
            "UPDATE reservation SET taken_position = taken_position + 1 WHERE stream_id <> %s",
            (LEAD,),
        )
    verdict = judged(workspace)
    said = {kind: [f.what for f in verdict.findings if f.kind == kind] for kind in get_args(Kind)}
    assert said["bookmark"] == [
        f"the bookmark learning.LeadConversion says 1000, the log ends at {position}"
    ]
    assert said["poison"] == [
        f"event at position {position} (lead.qualified.v1): has a VARCHAR in budget"
    ]
    assert not verdict.tables["lead"]  # it was read before it was poisoned
    (reservation,) = said["reservation"]
    assert re.fullmatch(
        r"reservation lead.email of .*: the table says held since \d+, the log held since \d+",
        reservation,
    )


def test_files_of_two_positions_after_a_crash_are_good(workspace: Workspace):
    """One file is committed before the other; what lacks is made up for at the next start."""
    with Writer(workspace.log) as writer:
        wish = EngageLead(kind="reply", note="Called back.")
        handle(writer, wish, LEAD, Context(ANN, uuid7())).result(30)
    folder = current(workspace.directory)
    (personal,) = folder.glob("personal-*.duckdb")
    shutil.copy(personal, workspace.directory / "before")
    with closing(open_tables(workspace)) as tables:
        catch_up(tables, workspace.log, workspace.log.last_position())
    shutil.copy(workspace.directory / "before", personal)
    assert judged(workspace).findings == []
