"""What holds for every report, whatever it is about."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

import readmodels
from readmodels import activity, campaign, customer, deal, lead, pipeline, ticket, user
from readmodels.macros import _asked, known, macros
from readmodels.query import Moment, Query, page
from replay.tables import DECLARED
from tests.reports import At, Reports, moments, reports, story

if TYPE_CHECKING:
    from datetime import date

MODULES = (activity, campaign, customer, deal, lead, pipeline, ticket, user)
QUERIES = {
    name: query
    for module in MODULES
    for name, query in vars(module).items()
    if isinstance(query, Query)
}

QUERY = pytest.mark.parametrize("query", QUERIES.values(), ids=list(QUERIES))


def sql_files() -> list[str]:
    """The files that belong to these modules."""
    names = [module.__name__.removeprefix("readmodels.") for module in MODULES]
    folder = Path(readmodels.__file__).parent
    return [(folder / f"{name}.sql").read_text() for name in (*names, "timeline")]


@cache
def somebody() -> UUID:
    """The customer with the longest story."""
    found = reports().database.query(
        "SELECT customer_id FROM customer_profile() ORDER BY interactions DESC, customer_id LIMIT 1"
    )
    return UUID(found.item())


def nothing_given(query: Query) -> dict[str, Any]:
    """What a question needs, and no more."""
    return dict.fromkeys(query.parameters) | ({"id": somebody()} if needs_id(query) else {})


def needs_id(query: Query) -> bool:
    return query.sql.startswith(f"FROM {query.name}($id")


def ask(query: Query, given: dict[str, Any] | None = None, at: At | None = None) -> list[Any]:
    """All rows of the answer to a question, as its door gives them."""
    as_of, known_at = (at.as_of, at.known_at) if at else (None, None)
    position = story()[-1].position if known_at is None else known_at
    asked = nothing_given(query) | (given or {})
    return page(reports().database, query, Moment(as_of, position), asked, limit=10**6).items


def test_every_table_macro_takes_both_axes_of_time_and_is_a_question():
    declared = re.compile(r"CREATE OR REPLACE MACRO (\w+)\(([^)]*)\) AS TABLE")
    found = [macro for sql in sql_files() for macro in declared.findall(sql)]
    assert {name for name, _ in found} == set(QUERIES)
    assert all(given.strip().endswith("as_of := NULL, known_at := NULL") for _, given in found)


@QUERY
def test_a_question_is_described_with_every_column_of_its_answer(query: Query):
    assert query.description == macros()[query.name].description
    assert re.match(r"[A-Z].*[.)]$", query.description)
    given = "NULL" if needs_id(query) else ""
    described = reports().database.query(f"DESCRIBE FROM {query.name}({given})")
    assert list(query.columns) == described["column_name"].to_list()
    for told in query.columns.values():
        assert re.match(r"[A-Z0-9].*\.$|pipeline, |[a-z_]+, .*\.$|[a-z]+.* or .*\.$", told), told


@QUERY
@pytest.mark.parametrize("at", moments(seed=2)[1:4], ids=str)
def test_what_the_moment_of_a_question_says_is_what_its_arguments_say(query: Query, at: At):
    arguments = [f"'{somebody()}'"] if needs_id(query) else []
    given = "as_of := $as_of, known_at := $known_at"
    told = reports().database.query(
        f"FROM {query.name}({', '.join([*arguments, given])})",
        {"as_of": at.as_of, "known_at": at.known_at},
    )
    turned = reports().database.sql_as_of(
        f"FROM {query.name}({', '.join(arguments)})", as_of=at.as_of, known_at=at.known_at
    )
    assert told.equals(turned)
    assert len(ask(query, at=at)) == len(told)


@cache
def cut(known_at: int) -> Reports:
    """Tables of a log that ends at a position."""
    return Reports([recorded for recorded in story() if recorded.position <= known_at])


@QUERY
def test_what_is_written_later_changes_nothing_that_was_known(query: Query):
    half = story()[len(story()) // 2]
    key = [str(somebody())] if needs_id(query) else []
    for at in (At(None, half.position), At(story()[len(story()) // 3].occurred_at, half.position)):
        known = reports().ask(query.name, *key, at=at)
        assert known == cut(half.position).ask(query.name, *key, at=At(at.as_of))


@QUERY
def test_an_answer_is_narrowed_by_each_column_that_may_be_named(query: Query):
    rows = ask(query)
    assert rows
    for name in set(query.parameters) & set(query.columns) - {"id", "since", "until"}:
        for value in sorted({row[name] for row in rows if row[name] is not None})[:2]:
            wanted = [row for row in rows if row[name] == value]
            assert ask(query, {name: value}) == wanted


def during(query: Query) -> str:
    """The column that a period of days is about, if there is one."""
    found = re.search(r'"(\w+)"::DATE >= \$since', query.sql)
    return found[1] if found else ""


@pytest.mark.parametrize(
    "query", [query for query in QUERIES.values() if during(query)], ids=lambda query: query.name
)
def test_an_answer_is_narrowed_to_a_period(query: Query):
    column = during(query)
    rows = [row for row in ask(query) if row[column] is not None]
    days = sorted({day(row[column]) for row in rows})
    since, until = days[len(days) // 4], days[len(days) // 2]
    narrowed = ask(query, {"since": since, "until": until})
    assert narrowed == [row for row in rows if since <= day(row[column]) <= until]


def day(value: Any) -> date:
    return value.date() if hasattr(value, "date") else value


@QUERY
def test_an_answer_comes_in_pages_without_a_seam(query: Query):
    rows, found, after = ask(query), [], ()
    size = max(len(rows) // 3, 1)
    for _ in range(5):
        moment = Moment(None, story()[-1].position)
        given = nothing_given(query)
        answer = page(reports().database, query, moment, given, after=after, limit=size)
        found += answer.items
        if answer.last is None:
            break
        after = answer.last
    assert found == rows


def test_a_bare_date_is_the_end_of_that_day():
    database = reports().database
    counted = "SELECT count(*) FROM deal_at(as_of := $moment)"
    days = database.query(
        "SELECT opened_at::DATE AS day FROM deal GROUP BY day HAVING count(*) > 1 ORDER BY day"
    ).to_series()
    for day in days[:: len(days) // 5]:
        whole = database.query(counted, {"moment": f"{day}T23:59:59.999999Z"}).item()
        assert database.query(counted, {"moment": str(day)}).item() == whole
        assert database.query(counted, {"moment": day}).item() == whole
        assert database.query(counted, {"moment": f"{day}T00:00:00Z"}).item() < whole


def test_reports_of_a_table_that_is_not_there_are_left_out_and_no_others():
    assert _asked([*macros().values()]) <= DECLARED.keys()
    everything = known({*DECLARED})
    assert everything.keys() == {macro.file for macro in macros().values()}
    left_out = {name: everything.keys() - known({*DECLARED} - {name}).keys() for name in DECLARED}
    assert left_out["touch"] == {"campaign.sql", "contact.sql", "timeline.sql"}
    assert left_out["poison_event"] == set()
