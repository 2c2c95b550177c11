"""A person may ask what is known: every record, every event, what was foreseen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from api.node import Node
from cli import main
from commands.contact import GrantConsent
from commands.subject import ForgetCustomer, PlaceContactLegalHold, ReleaseContactLegalHold
from eventstore.envelope import uuid7
from learning import LEARNERS
from replay import access
from tests.doors import Client
from tests.test_forgetting import ACME, ANN, BODY, BOSS, EMAIL, NAME, STORY, TICKET, WHY, do

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def node(database_url: str, tmp_path: Path) -> Iterator[Node]:
    with Node.open(tmp_path, database_url) as opened:
        for stream, command in STORY:
            do(opened.writer, stream, command)
        do(opened.writer, ANN, GrantConsent(channel="email", source="Form"))
        do(opened.writer, ANN, PlaceContactLegalHold(matter="Case 2026-17"))
        yield opened


def test_all_that_is_known_is_told_to_who_may_see_it(node: Node):
    with Client(node, BOSS) as boss, Client(node, BOSS, personal=False) as analyst:
        told = boss.get(f"/customers/{ACME}/access-report").json()
        kinds = {one["record_id"]: one["kind"] for one in told["records"]}
        assert [kinds[str(id)] for id in (ACME, ANN, TICKET)] == ["customer", "contact", "ticket"]
        assert sorted(kinds.values()) == ["contact", "customer", "subject", "ticket"]
        assert (told["record_id"], told["position"]) == (str(ACME), 7)
        whole = json.dumps(told)
        for value in (NAME, EMAIL, BODY, "Form", "Case 2026-17"):
            assert value in whole
        read = boss.get(f"/contacts/{ANN}/access-report", params={"format": "markdown"})
        assert read.headers["content-type"].startswith("text/markdown")
        assert f"* name: {NAME}" in read.text
        assert "consent granted" in read.text
        assert analyst.get(f"/customers/{ACME}/access-report").status_code == 403
        assert boss.get(f"/customers/{uuid7()}/access-report").status_code == 404
        assert "Bob" not in whole


def test_of_who_was_forgotten_it_tells_that_and_no_value(
    node: Node, capsys: pytest.CaptureFixture[str]
):
    do(node.writer, ANN, ReleaseContactLegalHold(matter="Case 2026-17"))
    do(node.writer, ACME, ForgetCustomer(reason=WHY))
    verb = ["privacy", "report", str(ACME), "--database-url", node.workspace.database_url]
    verb += ["--data", str(node.workspace.directory)]
    assert main([*verb, "--json"]) == 0
    told = capsys.readouterr().out
    assert "[forgotten]" in told
    assert WHY in told
    for value in (NAME, EMAIL, BODY):
        assert value not in told
    assert main(verb) == 0
    assert f"# What is known of {ACME}" in capsys.readouterr().out


def test_what_every_learner_said_is_known():
    assert {learner.name for learner in LEARNERS} == set(access.LEARNERS)
