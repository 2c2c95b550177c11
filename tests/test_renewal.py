"""Tables of other declarations are made anew beside the old ones, which go on answering."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

import replay.tables
from api.node import Node
from commands.base import handle
from commands.lead import CaptureLead
from commands.user import RegisterUser
from domain.user import (
    User,
    UserDeactivated,
    UserReactivated,
    UserRegistered,
    UserRetracted,
    UserTeamChanged,
)
from eventstore.envelope import uuid7
from eventstore.workspace import Workspace
from eventstore.writer import Context, Writer
from projections import DIMENSIONS, FACTS
from projections.base import Dimension, FactTable, assign, blank, envelope, field, row, state
from projections.tables import Tables
from replay.rebuild import OtherDeclarations, build, open_renewed, renew, rolled_back, turn
from replay.tables import (
    NothingBefore,
    catch_up,
    current,
    new_generation,
    open_tables,
    previous,
    turn_to,
)
from tests.doors import Client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ANN = UUID(int=0xA)

# FastAPI silences it while it makes an app, for all threads: here others are at work meanwhile.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pydantic.warnings.UnsupportedFieldAttributeWarning"
)

user = Dimension(
    "user",
    of=User,
    on={
        UserRegistered: assign(
            status="active",
            handle=field,
            team=field,
            manager_id=field,
            name=field,
            email=field,
            registered_at=envelope.effective_at,
        ),
        UserTeamChanged: assign(team=field, manager_id=field),
        UserDeactivated: assign(status="inactive"),
        UserReactivated: assign(status="active"),
        UserRetracted: blank(status="retracted"),
    },
    description="Users, and since when.",
    columns={
        "status": "active or inactive.",
        "handle": "Name to log in with.",
        "team": "The team.",
        "manager_id": "The user's manager.",
        "registered_at": "When the user was registered.",
        "name": "Name of the person.",
        "email": "E-mail address of the person.",
    },
)
arrival = FactTable(
    "arrival",
    of=user,
    on={UserRegistered: row(status=state.status, team=field)},
    description="Users as they came.",
    columns={"status": "The status then.", "team": "The team then."},
)
CHANGED = partial(
    Tables,
    dimensions=[user if each.name == "user" else each for each in DIMENSIONS],
    facts=[*FACTS, arrival],
)


def lead() -> CaptureLead:
    return CaptureLead.model_validate(CaptureLead.example | {"email": f"{uuid4().hex}@example.com"})


def tell(workspace: Workspace, leads: int) -> None:
    """A user is registered, and leads are captured."""
    context = Context(actor=ANN, correlation_id=uuid7())
    with Writer(workspace.log) as writer:
        handle(writer, RegisterUser(name="Ann", handle="ann", team="east"), ANN, context).result(30)
        for _ in range(leads):
            handle(writer, lead(), uuid7(), Context(ANN, uuid7())).result(30)


@pytest.fixture
def workspace(workspace: Workspace) -> Workspace:
    """A workspace whose tables are at the end of the log."""
    tell(workspace, 5)
    with closing(Tables(current(workspace.directory), workspace.log.unseal)) as tables:
        catch_up(tables, workspace.log, workspace.log.last_position())
    return workspace


@pytest.fixture
def _changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on users are declared otherwise."""
    monkeypatch.setattr(replay.tables, "Tables", CHANGED)


def digests(tables: Tables) -> dict[str, str]:
    return tables.database.digests(values=True)


@pytest.mark.usefixtures("_changed")
def test_only_what_is_declared_otherwise_is_made_anew(workspace: Workspace):
    with closing(open_tables(workspace, kept=True)) as old:
        assert old.outdated == {"user", "arrival"}
        told: list[int] = []
        generation = renew(workspace, old, told.append)
        before = digests(old)
    with closing(open_tables(workspace, generation)) as renewed:
        found = digests(renewed)
        assert not renewed.outdated
        assert renewed.position == workspace.log.last_position()
        assert renewed.database.query("FROM user")["registered_at"].null_count() == 0
        assert renewed.database.query("FROM arrival")["status"].to_list() == ["active"]
    with closing(open_tables(workspace, build(workspace))) as rebuilt:
        assert digests(rebuilt) == found
    assert before == {name: found[name] for name in before}
    assert "user" not in before


@pytest.mark.usefixtures("_changed")
def test_what_comes_while_tables_are_made_anew_is_taken_once(workspace: Workspace):
    with closing(open_tables(workspace, kept=True)) as old:

        def meanwhile(_: int) -> None:
            tell_more.pop()() if tell_more else None

        def more() -> None:
            tell(workspace, 4)
            catch_up(old, workspace.log, workspace.log.last_position())

        tell_more = [more]
        generation = renew(workspace, old, meanwhile)
    with (
        closing(open_tables(workspace, generation)) as renewed,
        closing(open_tables(workspace, build(workspace))) as rebuilt,
    ):
        assert renewed.position == workspace.log.last_position()
        assert digests(renewed) == digests(rebuilt)


def test_a_fact_is_outdated_with_the_dimension_whose_state_it_shows(tmp_path: Path):
    Tables(tmp_path, dimensions=[*DIMENSIONS], facts=[*FACTS, arrival]).close()
    with closing(CHANGED(tmp_path, kept=True)) as tables:
        assert tables.outdated == {"user", "arrival"}
        assert tables.needed == {"user", "arrival"}


@contextmanager
def load(node: Node, failed: list[Any]) -> Iterator[None]:
    """One who asks and one who writes, and reads what was written, without a pause."""
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            for path in ("/leads", "/users", "/leads/board"):
                reply = asking.get(path)
                failed.extend([] if reply.is_success else [(path, reply.text)])

    def write() -> None:
        while not done.is_set():
            position = writing.post("/leads", lead().model_dump(mode="json")).json()["position"]
            reply = writing.get("/leads", params={"min_position": position})
            if not reply.is_success or reply.json()["position"] < position:
                failed.append(reply.text)

    with Client(node, ANN) as asking, Client(node, ANN) as writing, ThreadPoolExecutor(2) as pool:
        working = [pool.submit(ask), pool.submit(write)]
        yield
        done.set()
    for each in working:
        each.result()


def events(workspace: Workspace) -> list[str]:
    return [recorded.event.type for recorded in workspace.log.read()]


@pytest.mark.usefixtures("_changed")
def test_nobody_notices_that_a_declaration_changed(workspace: Workspace):
    failed: list[Any] = []
    before = len(events(workspace))
    first = current(workspace.directory)
    with Node.open(workspace.directory, workspace.database_url) as node:
        with load(node, failed):
            assert node.tables.paths[0].parent == first
            deadline = time.monotonic() + 90
            while node.tables.outdated and time.monotonic() < deadline:
                time.sleep(0.05)
            time.sleep(0.3)
        last = workspace.log.last_position()
        assert node.follower.wait_for(last, 30)
        with node.asking() as database:
            assert database.query("FROM user")["registered_at"].null_count() == 0
            found = database.digests(values=True)
    assert failed == []
    assert not node.tables.outdated
    assert current(workspace.directory) != first
    with closing(open_tables(workspace, build(workspace))) as rebuilt:
        assert digests(rebuilt) == found
    happened = events(workspace)[before:]
    assert set(happened) == {"lead.captured.v1"}


def test_what_is_new_is_asked_for_again_until_it_is_there(workspace: Workspace):
    known = [each for each in FACTS if each.name != "touch"]
    generation = new_generation(workspace.directory)
    with closing(Tables(generation, workspace.log.unseal, facts=known)) as yesterday:
        catch_up(yesterday, workspace.log, workspace.log.last_position())
    turn_to(generation)
    node = Node.open(workspace.directory, workspace.database_url)  # which does not renew them yet
    with closing(node), Client(node, ANN) as ann:
        assert "touch" in node.tables.outdated
        assert ann.get("/leads").is_success
        for path in ("/campaigns/attribution", "/tables/touch"):
            reply = ann.get(path)
            assert (reply.status_code, reply.headers["Retry-After"]) == (503, "1"), path
            assert reply.json()["type"] == "urn:backstory:problem:tables-renewed"
        assert ann.get("/tables/torch").status_code == 404
        node.start()
        deadline = time.monotonic() + 60
        while not (reply := ann.get("/campaigns/attribution")).is_success:
            assert reply.status_code == 503
            assert time.monotonic() < deadline


def test_nobody_notices_a_rebuild_nor_that_it_is_taken_back(workspace: Workspace):
    failed: list[Any] = []
    first = current(workspace.directory)
    with Node.open(workspace.directory, workspace.database_url) as node, load(node, failed):
        for make in (build, rolled_back):
            tables, compared = turn(node.workspace, node.follower, make(node.workspace))
            node.turn_to(tables)
            assert all(compared.same.values())
    assert failed == []
    assert current(workspace.directory) == first
    with (
        closing(open_tables(workspace)) as kept,
        closing(open_tables(workspace, previous(workspace.directory))) as rebuilt,
    ):
        for tables in (kept, rebuilt):
            catch_up(tables, workspace.log, workspace.log.last_position())
        assert digests(kept) == digests(rebuilt)


def test_there_may_be_nothing_to_go_back_to(workspace: Workspace):
    with pytest.raises(NothingBefore, match="no rebuild yet"):
        rolled_back(workspace)


def test_tables_of_other_declarations_are_not_gone_back_to(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
):
    first = current(workspace.directory)
    with monkeypatch.context() as patch:
        patch.setattr(replay.tables, "Tables", CHANGED)
        with closing(open_renewed(workspace)) as tables:
            assert not tables.outdated
        assert current(workspace.directory) != first
        with pytest.raises(OtherDeclarations, match="arrival, user"):
            rolled_back(workspace)
    turn_to(rolled_back(workspace))
    assert current(workspace.directory) == first


KILLED = """
import os, signal, sys
from contextlib import closing
from pathlib import Path
import replay.tables
from eventstore.workspace import Workspace
from replay.rebuild import renew
from tests.test_renewal import CHANGED
replay.tables.Tables = CHANGED
with Workspace.open(Path(sys.argv[1]), sys.argv[2]) as workspace:
    with closing(replay.tables.open_tables(workspace, kept=True)) as old:
        renew(workspace, old, lambda _: os.kill(os.getpid(), signal.SIGKILL))
"""


@pytest.mark.usefixtures("_changed")
def test_a_kill_half_way_leaves_the_old_tables(workspace: Workspace):
    first = current(workspace.directory)
    command = [sys.executable, "-c", KILLED, str(workspace.directory), workspace.database_url]
    killed = subprocess.run(command, env=os.environ, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert current(workspace.directory) == first
    with closing(open_tables(workspace, kept=True)) as old:
        assert old.outdated == {"user", "arrival"}
        assert old.database.query("SELECT count(*) FROM lead").item() == 5
        assert old.database.query("SELECT handle FROM user").item() == "ann"
