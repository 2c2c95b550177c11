"""API keys: who asks is always known, and what the database holds opens nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from api.auth import TRUSTED_SECONDS, ApiKeys
from commands.lead import CaptureLead, QualifyLead
from eventstore.workspace import Workspace
from tests.doors import Client, a_node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from api.node import Node

ANN, BOB = UUID(int=0xA), UUID(int=0xB)
LEAD, BANT = CaptureLead.example, QualifyLead.example


@pytest.fixture(scope="module")
def node(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with a_node(postgres_url, tmp_path_factory.mktemp("node")) as started:
        yield started


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "key-missing"),
        ("Basic YTpi", "key-missing"),
        ("Bearer", "key-missing"),
        ("Bearer bk_of_somebody_else", "key-unknown"),
        ("bearer \xff", "key-unknown"),
    ],
)
def test_without_a_good_key_nothing_is_answered(node: Node, given: str, said: str):
    with Client(node, ANN) as ann:
        for method, path in (("POST", f"/leads/{uuid4()}/qualify"), ("GET", "/leads")):
            headers = {"Authorization": given.encode("latin-1")}
            refused = ann.ask(method, path, json=BANT, headers=headers)
            assert refused.status_code == 401
            assert refused.json()["type"] == f"urn:backstory:problem:{said}"
            assert refused.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_revoked_key_opens_nothing(node: Node):
    with Client(node, BOB) as bob:
        assert bob.post("/leads", LEAD).status_code == 201
        key = next(key for key in node.api_keys.list() if key.actor == BOB)
        assert key.revoked_at is None
        assert node.api_keys.revoke(key.id)
        assert not node.api_keys.revoke(key.id)
        assert bob.post("/leads", LEAD).status_code == 401
    assert next(key for key in node.api_keys.list() if key.actor == BOB).revoked_at


def test_a_key_revoked_elsewhere_opens_nothing_for_long(
    node: Node, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("api.auth.TRUSTED_SECONDS", 0)
    with Client(node, ANN) as ann, node.workspace.log.cursor() as cursor:
        assert ann.get("/leads").status_code == 200
        cursor.execute("UPDATE api_key SET revoked_at = now()")
        assert ann.get("/leads").status_code == 401


def until(so: Callable[[], object]) -> None:
    """Wait for what another thread does."""
    deadline = time.monotonic() + 30
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_key_in_use_is_looked_up_again_while_it_is_believed(node: Node):
    clock = [0.0]
    keys = ApiKeys(node.workspace, lambda: clock[0])
    token, other = keys.create(ANN, "phone"), keys.create(ANN, "tablet")
    assert keys.recall(token) is None
    found = keys.identify(token)
    assert found == keys.recall(token) == keys.identify(token)
    assert keys.identify(other) == found
    clock[0] = 0.6 * TRUSTED_SECONDS
    assert keys.recall(token) == found
    clock[0] = 1.1 * TRUSTED_SECONDS
    until(lambda: keys.recall(token) == found)
    assert keys.recall(other) is None  # nobody had asked for it


def test_a_key_revoked_elsewhere_is_no_longer_believed_once_that_is_seen(node: Node):
    clock = [0.0]
    here, elsewhere = ApiKeys(node.workspace, lambda: clock[0]), ApiKeys(node.workspace)
    token = here.create(ANN, "watch")
    assert here.identify(token)
    id_ = next(key.id for key in here.list() if key.label == "watch")
    elsewhere.revoke(id_)
    clock[0] = 0.4 * TRUSTED_SECONDS
    assert here.recall(token)
    clock[0] = 0.6 * TRUSTED_SECONDS
    until(lambda: here.recall(token) is None)
    clock[0] = 0.0
    assert here.recall(token) is None


def test_the_database_knows_no_key(node: Node):
    token = node.api_keys.create(ANN, "laptop")
    with node.workspace.log.cursor() as cursor:
        cursor.execute("SELECT api_key::text AS row FROM api_key WHERE label = 'laptop'")
        row = cursor.fetchone()
    assert row is not None
    assert "laptop" in row["row"]
    assert token not in row["row"]
    assert token.encode().hex() not in row["row"]


def test_keys_are_of_no_use_without_the_master_key(node: Node):
    workspace = node.workspace
    bare = Workspace(
        workspace.name, workspace.directory, workspace.database_url, workspace.log, None
    )
    with pytest.raises(ValueError, match="master key"):
        ApiKeys(bare)
