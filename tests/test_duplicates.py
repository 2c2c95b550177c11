"""Duplicates in the whole base: planted ones are found, others are not, and why is told."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import combinations
from random import Random
from typing import Any

import pytest

from benchmarks.people import FIRST, SURNAMES
from commands.base import handle
from commands.contact import CreateContact
from commands.customer import CreateCustomer
from commands.lead import CaptureLead, DisqualifyLead
from domain.user import SYSTEM
from eventstore.envelope import uuid7
from eventstore.writer import Context, Writer
from imports import duplicates as module
from imports.duplicates import SplinkMissing, duplicates, site

PEOPLE, TWICE = 1_200, 120

EMPTY: dict[str, Any] = dict.fromkeys(("name", "email", "phone", "company", "website"))


def person(id_: str, **known: str) -> dict[str, Any]:
    return {"kind": "lead", "id": id_, **EMPTY, **known}


def mistyped(text: str, chance: Random) -> str:
    """Two letters change places, one is lost, or one comes twice."""
    at = chance.randrange(1, len(text) - 1)
    ways = (
        text[:at] + text[at + 1] + text[at] + text[at + 2 :],
        text[:at] + text[at + 1 :],
        text[:at] + text[at] + text[at:],
    )
    return chance.choice(ways)


@pytest.fixture(scope="module")
def base() -> list[dict[str, Any]]:
    """People of a few hundred companies; `x` before an id plants another record of the person."""
    chance = Random(7)  # noqa: S311 - people who do not exist
    records = []
    for number in range(PEOPLE):
        first, last = chance.choice(FIRST), chance.choice(SURNAMES)
        company = f"{SURNAMES[number // 4]} GmbH"
        email = f"{first}.{last}@{SURNAMES[number // 4]}.com".lower()
        phone = f"+49 {chance.randrange(10**8, 10**9)}"
        known = {"name": f"{first} {last}", "email": email, "phone": phone, "company": company}
        records.append(person(str(number), **known))
        if number < TWICE:
            other: dict[str, Any] = dict(known, name=f"{first} {mistyped(last, chance)}")
            other["email"] = chance.choice((f"{last}{number}@mail.example.org".lower(), None))
            other["company"] = chance.choice((company.upper(), SURNAMES[number // 4]))
            records.append(person(f"x{number}", **other))
    chance.shuffle(records)
    return records


def test_planted_duplicates_are_found_and_hardly_anything_else(base):
    found = duplicates(base)
    together: dict[int, list[str]] = {}
    for member in found:
        together.setdefault(member.cluster, []).append(member.id)
    pairs = {tuple(sorted(pair)) for ids in together.values() for pair in combinations(ids, 2)}
    planted = {tuple(sorted((str(number), f"x{number}"))) for number in range(TWICE)}
    recall, precision = len(pairs & planted) / len(planted), len(pairs & planted) / len(pairs)
    assert recall >= 0.97, sorted(planted - pairs)
    assert precision >= 0.97, sorted(pairs - planted)


def test_the_same_base_gives_the_same_answer_in_whatever_order(base):
    found = duplicates(base)
    assert duplicates(sorted(base, key=lambda record: record["id"])) == found
    assert [member.cluster for member in found] == sorted(member.cluster for member in found)


def test_it_is_told_what_agrees():
    found = duplicates(
        [
            person("1", name="Ann Miller", phone="+49 30 1234567", company="Acme GmbH"),
            person("2", name="Ann Mliler", phone="030 1234567", company="ACME"),
            person("3", name="Ben Miller", phone="030 7654321", company="Acme"),
        ]
    )
    assert [(member.id, member.because) for member in found] == [
        ("1", "name nearly, company, phone"),
        ("2", "name nearly, company, phone"),
    ]
    assert all(0.9 <= member.probability <= 1 for member in found)


def test_a_higher_threshold_finds_less_and_never_others(base):
    some = base[:400]
    sure = {(m.kind, m.id) for m in duplicates(some, 0.999)}
    maybe = {(m.kind, m.id) for m in duplicates(some, 0.5)}
    assert sure
    assert sure <= maybe


def test_what_all_have_in_common_is_no_reason_to_compare_them():
    crowd = [person(str(number), phone="030 1234567") for number in range(module.BLOCK_MAX + 1)]
    assert duplicates(crowd, 0.01) == []


@pytest.mark.parametrize("records", [[], [person("1", name="Ann")], [person("1"), person("2")]])
def test_nobody_is_alone_twice(records):
    assert duplicates(records) == []


@pytest.mark.parametrize(
    ("website", "host"),
    [
        ("https://www.Example.com/en?x=1", "example.com"),
        ("example.com", "example.com"),
        ("http://shop.example.com:8080", "shop.example.com:8080"),
    ],
)
def test_a_web_site_is_known_by_its_host(website, host):
    assert site(website) == host


def test_without_splink_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "splink", None)
    with pytest.raises(SplinkMissing, match=r"backstory\[dedupe\]"):
        duplicates([person("1", name="Ann Miller"), person("2", name="Ann Miller")])


def test_the_verb_reads_the_live_records_with_their_personal_columns(workspace, tmp_path):
    spam = uuid7()
    with Writer(workspace.log) as writer:

        def ask(command, stream=None):
            context = Context(SYSTEM, uuid7())
            return handle(writer, command, stream or uuid7(), context).result(30).id

        acme = ask(
            CreateCustomer(name="Acme GmbH", website="https://acme.example.com", country="DE")
        )
        other = ask(
            CreateCustomer(name="Acme Group", website="www.acme.example.com/en", country="DE")
        )
        lead = ask(
            CaptureLead(name="Ann Miller", phone="+49 30 1234567", company="Acme", source="web")
        )
        contact = ask(CreateContact(name="Ann Mliler", phone="030 1234567", customer_id=acme))
        ask(CaptureLead(name="Ann Miller", phone="030 1234567", source="web"), spam)
        ask(DisqualifyLead(reason="spam"), spam)
    at = ("--data", str(workspace.directory), "--database-url", workspace.database_url)

    def verb(*more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cli", "duplicates", *at, *more]
        return subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)

    people = json.loads(verb("--format", "json").stdout)
    assert {row["id"] for row in people} == {str(lead), str(contact)}
    assert {row["because"] for row in people} == {"name nearly, company, phone"}
    file = tmp_path / "twice.csv"
    assert str(file) in verb("--of", "customers", "-o", str(file)).stderr.replace("\n", "")
    lines = file.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 3
    assert all(str(id_) in file.read_text(encoding="utf-8") for id_ in (acme, other))
