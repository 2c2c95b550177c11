"""What changed between two moments, beside what the declarations say of both."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.base import fold
from domain.deal import Deal
from projections import DIMENSIONS
from projections.tables import Tables
from tests.declared import plain, tell
from tests.random_log import arrow, random_log, unseal
from tests.reports import reports, story

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from projections.base import Dimension

LOG = random_log(seed=5, events=500, streams=40)
BY_POSITION = {recorded.position: recorded for recorded in LOG}
TIMES = sorted({recorded.occurred_at for recorded in LOG})


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tables]:
    tables = Tables(tmp_path_factory.mktemp("between"), unseal())
    tables.apply(arrow(LOG))
    yield tables
    tables.close()


def times() -> st.SearchStrategy[datetime | None]:
    """Times at which something happens, or just before, or none."""
    moved = st.sampled_from([timedelta(), timedelta(microseconds=-1), timedelta(hours=1)])
    return st.none() | st.builds(lambda time, by: time + by, st.sampled_from(TIMES), moved)


def positions() -> st.SearchStrategy[int | None]:
    return st.none() | st.integers(0, LOG[-1].position)


def asked(tables: Tables, table: str, **given: Any) -> list[dict[str, Any]]:
    arguments = ", ".join(f"{name} := ${name}" for name in given)
    return tables.database.query(
        f"FROM {table}_between({arguments})", given, personal=True
    ).to_dicts()


def told(dimension: Dimension) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    """Every version of every record, as the declaration says."""
    key = ("id", *dimension.key)
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in tell(LOG, dimension)[dimension.name]:
        found[tuple(plain(row[name]) for name in key)].append(row)
    return found


def shows(row: dict[str, Any], as_of: datetime | None, known_at: int | None) -> bool:
    return (as_of is None or row["valid_from"] <= as_of) and (
        known_at is None or row["position"] <= known_at
    )


def differing(
    versions: list[dict[str, Any]], before: int, columns: list[str]
) -> Iterator[dict[str, Any]]:
    """A row for each column that the versions after the first `before` made another."""
    blank = dict.fromkeys(columns)
    for column in columns:
        values = [plain((blank, *versions)[n].get(column)) for n in range(len(versions) + 1)]
        if values[before] == values[-1]:
            continue
        setting = [
            n
            for n in range(before + 1, len(values))
            if values[n] != (values[n - 1] if n > 1 else None)
        ]
        yield {
            "column_name": column,
            "change": "changed" if before else "appeared",
            "old_value": values[before] if before else None,
            "new_value": values[-1],
            "versions": len(versions) - before,
            "position": versions[setting[-1] - 1]["position"],
        }


def parsed(value: str | None, kind: str) -> Any:
    """A value that was cast to text."""
    if value is None:
        return None
    if kind.startswith("DECIMAL"):
        return Decimal(value)
    if kind == "TIMESTAMPTZ":
        return datetime.fromisoformat(value)
    if kind in {"BIGINT", "DOUBLE", "BOOLEAN", "JSON"}:
        return json.loads(value)
    return value


@pytest.mark.parametrize("dimension", DIMENSIONS, ids=lambda each: each.name)
def test_what_changed_is_what_differs_between_the_folds(tables: Tables, dimension: Dimension):
    shape = dimension.shapes[0]
    columns = [name for name in shape.types if name not in dimension.key]
    kinds = {name: str(kind) for name, kind in shape.types.items()}
    histories = told(dimension)

    @settings(max_examples=6)
    @given(times(), times(), positions(), positions())
    def holds(since, as_of, known_at, known_since):
        expected = {}
        known_before = known_at if known_since is None else known_since
        for key, history in histories.items():
            versions = [row for row in history if shows(row, as_of, known_at)]
            nothing = since is None and known_since is None
            before = [row for row in versions if not nothing and shows(row, since, known_before)]
            for row in differing(versions, len(before), columns):
                expected[*key, row["column_name"]] = row
        given = {"since": since, "as_of": as_of}
        found = asked(tables, dimension.name, **given, known_at=known_at, known_since=known_since)
        assert len(found) == len(expected)
        for row in found:
            key = (row["id"], *(row[name] for name in dimension.key))
            wanted = expected[*key, row["column_name"]]
            for name in ("old_value", "new_value"):
                row[name] = plain(parsed(row[name], kinds[row["column_name"]]))
            assert {name: row[name] for name in wanted} == wanted
            event = BY_POSITION[row["position"]]
            assert (row["type"], row["actor"]) == (event.event.type, str(event.actor))
            assert (row["event_id"], row["occurred_at"]) == (
                str(event.event_id),
                event.occurred_at,
            )

    holds()


def test_a_moment_of_the_connection_is_the_later_one():
    database = reports().database
    log = story()
    later, known_at = log[len(log) // 2].occurred_at, log[len(log) // 2].position
    sql = "FROM deal_between('2024-09-30')"
    turned = database.sql_as_of(sql, as_of=later, known_at=known_at)
    given = {"as_of": later, "known_at": known_at}
    assert len(turned) > 0
    assert turned.equals(
        database.query("FROM deal_between('2024-09-30', $as_of, $known_at)", given)
    )


def test_what_became_known_later_about_one_day_is_found():
    database = reports().database
    late = max(
        (recorded for recorded in story() if recorded.event.type == "activity.logged.v1"),
        key=lambda recorded: recorded.recorded_at - recorded.occurred_at,
    )
    given = {"day": late.occurred_at, "then": late.position - 1}
    learned = database.query("FROM activity_between($day, $day, known_since := $then)", given)
    assert str(late.stream_id) in learned["id"].to_list()
    assert all(learned["position"] >= late.position)


def test_deals_that_changed_their_amount_are_those_whose_folds_differ():
    log = story()
    since, as_of = log[len(log) // 3].occurred_at, log[2 * len(log) // 3].occurred_at
    states: list[dict[UUID, Deal]] = []
    for moment in (since, as_of):
        events: dict[UUID, list[Any]] = defaultdict(list)
        effective: dict[UUID, datetime] = {}
        for recorded in log:
            if recorded.event.type.startswith("deal."):
                stream = recorded.stream_id
                latest = max(recorded.occurred_at, effective.get(stream, recorded.occurred_at))
                effective[stream] = latest
                if latest <= moment:
                    events[stream].append(recorded.event)
        states.append({stream: fold(Deal(), told) for stream, told in events.items()})
    old, new = states
    expected = {
        (str(stream), f"{old[stream].amount:.2f}", f"{deal.amount:.2f}")
        for stream, deal in new.items()
        if stream in old and old[stream].amount != deal.amount
    }
    found = reports().database.query(
        "SELECT id, old_value, new_value FROM deal_between($since, $as_of) "
        "WHERE column_name = 'amount' AND change = 'changed'",
        {"since": since, "as_of": as_of},
    )
    assert expected
    assert set(found.rows()) == expected


def test_personal_values_are_compared_where_they_may_be_seen(tables: Tables):
    early = TIMES[len(TIMES) // 10]
    found = asked(tables, "lead_personal", since=early)
    sql = "SELECT id, name, email FROM lead_personal{}"
    rows = tables.database.query(sql.format(""), personal=True).rows()
    then = sql.format("_at(as_of := $at)")
    before = tables.database.query(then, {"at": early}, personal=True).rows()
    old = {id_: values for id_, *values in before}
    expected = {
        (id_, name, old.get(id_, (None, None))[place], values[place])
        for id_, *values in rows
        for place, name in enumerate(("name", "email"))
        if values[place] != old.get(id_, (None, None))[place]
    }
    shown = {
        (row["id"], row["column_name"], row["old_value"], row["new_value"])
        for row in found
        if row["column_name"] in {"name", "email"}
    }
    assert expected
    assert shown == expected
