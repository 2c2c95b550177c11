"""The guided tour: what can be asked of a past that was kept whole."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich.bar import Bar
from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console, RenderableType

    from readmodels.base import Database

BAR_WIDTH = 28
STORY_ROWS = 12
INPUTS_SHOWN = 6
MOVEMENTS = "opening new reopened expanded contracted won lost closing".split()

LATE_CALL = """
    SELECT call.position, call.occurred_at, deal.customer_id, customer.name
    FROM interaction AS call
    JOIN deal ON deal.id = call.deal_id
    JOIN customer ON customer.id = deal.customer_id
    JOIN event AS before
      ON before.id = deal.id AND before.position < call.position
      AND before.occurred_at > call.occurred_at + INTERVAL 1 DAY
    GROUP BY ALL
    ORDER BY count(*) DESC, call.position
    LIMIT 1
"""
"""A call about a deal that had moved on by the time somebody wrote the call down."""

Row = dict[str, Any]


def tour(console: Console, database: Database, end: datetime) -> None:
    """Print the chapters that only need the tables."""
    for title, told in (
        ("1. The pipeline today, and a year ago", _pipelines(database, end)),
        ("2. What moved it in the last quarter: it adds up", _waterfall(database, end)),
        ("3. One customer's story, on two axes of time", _story(database)),
        ("4. Why a score moved", _score(database)),
        ("5. How good the foreseeing was: first tested, then learned", _learners(database)),
    ):
        console.print()
        console.print(Panel(Group(*told), title=title, title_align="left", border_style="cyan"))


def _rows(database: Database, sql: str, values: Mapping[str, Any] | None = None) -> list[Row]:
    return database.query(sql, values, personal=database.has_personal).to_dicts()


def _pipelines(database: Database, end: datetime) -> Iterator[RenderableType]:
    sql = "SELECT stage, deals, amount, expected FROM deal_pipeline(as_of := $as_of)"
    then, now = end - timedelta(days=365), end
    for moment in (then, now):
        rows = _rows(database, sql, {"as_of": moment})
        yield Text(f"As of {moment:%d %B %Y}", style="bold")
        yield _bars(rows)
    yield _asked(f"backstory sql 'FROM deal_pipeline()' --as-of {then:%Y-%m-%d}")


def _bars(rows: Sequence[Row]) -> Table:
    """Open deals by stage, each with a bar for what is expected of them."""
    most = max((row["expected"] for row in rows), default=Decimal(1)) or Decimal(1)
    table = Table(box=None, pad_edge=False)
    for name in ("stage", "deals", "amount", "expected", ""):
        table.add_column(name, justify="left" if name in ("stage", "") else "right")
    for row in rows:
        share = float(row["expected"] / most)
        table.add_row(
            row["stage"],
            str(row["deals"]),
            f"{row['amount']:,.0f}",
            f"{row['expected']:,.0f}",
            Bar(1, 0, share, width=BAR_WIDTH, color="cyan"),
        )
    return table


def _waterfall(database: Database, end: datetime) -> Iterator[RenderableType]:
    """The movements of a quarter, one under the other."""
    since = end - timedelta(days=90)
    rows = _rows(
        database,
        "FROM pipeline_waterfall(since := $since, as_of := $until)",
        {"since": since, "until": end},
    )
    for row in rows:
        most = max(abs(row[name]) for name in MOVEMENTS) or Decimal(1)
        table = Table(box=None, pad_edge=False, show_header=False)
        for name in MOVEMENTS:
            share = float(abs(row[name]) / most)
            color = (
                "cyan" if name in ("opening", "closing") else "green" if row[name] > 0 else "red"
            )
            bar = Bar(1, 0, share, width=BAR_WIDTH, color=color)
            table.add_row(name, Text(f"{row[name]:,.0f} {row['currency']}", justify="right"), bar)
        yield table
        yield Text(f"Unexplained: {row['residual']}")
    yield _asked(
        f"backstory sql \"FROM pipeline_waterfall(since := '{since:%Y-%m-%d}')\""
        f" --as-of {end:%Y-%m-%d}"
    )


def _story(database: Database) -> Iterator[RenderableType]:
    """A customer with a call that was written down late: what we knew before, and know now."""
    found = _rows(database, LATE_CALL)
    if not found:
        return
    [call] = found
    until = f"{call['occurred_at']:%Y-%m-%d}T23:59:59.999999Z"
    rows = _rows(
        database,
        "SELECT occurred_at, type AS event, detail, position "
        "FROM customer_timeline($customer, as_of := $until)",
        {"customer": str(call["customer_id"]), "until": until},
    )
    shown = rows[-STORY_ROWS:]
    marked = [row | {"": "← written down late" if _is(row, call) else ""} for row in shown]
    yield Text(f"{call['name']}, in the order in which things happened", style="bold")
    yield _table(marked)
    yield Text.assemble(
        "\nThe last line happened on ",
        (f"{call['occurred_at']:%d %B %Y}", "bold"),
        f". Whoever asked before position {call['position']} was told of {len(rows) - 1} events, "
        f"not {len(rows)}:",
    )
    day = f"{call['occurred_at']:%Y-%m-%d}"
    for known in ("", f" --known-at {call['position'] - 1}"):
        yield _asked(
            f"backstory sql \"FROM customer_timeline('{call['customer_id']}')\""
            f" --as-of {day}{known}"
        )


def _is(row: Row, call: Row) -> bool:
    return bool(row["position"] == call["position"])


def _score(database: Database) -> Iterator[RenderableType]:
    moved = _rows(
        database,
        """
        SELECT subject_id, position, value, previous_value
        FROM score_explained()
        WHERE learner = 'lead_conversion' AND previous_value IS NOT NULL
        ORDER BY abs(value - previous_value) DESC, position
        LIMIT 1
        """,
    )
    if not moved:
        return
    [score] = moved
    rows = _rows(
        database,
        """
        SELECT input, said_before, says, round(moved, 3) AS moved_log_odds, changed
        FROM score_explained() WHERE position = $position ORDER BY abs(moved) DESC, input
        """,
        {"position": score["position"]},
    )
    yield Text(
        f"Lead {score['subject_id']}: from {score['previous_value']:.0%} to {score['value']:.0%}, "
        "because",
        style="bold",
    )
    yield _table(rows[:INPUTS_SHOWN])
    yield _asked(
        f"backstory sql \"FROM score_explained() WHERE subject_id = '{score['subject_id']}'\""
    )


def _learners(database: Database) -> Iterator[RenderableType]:
    yield _table(_rows(database, "FROM learner_performance()"))
    yield _asked("backstory sql 'FROM learner_performance()'")


def _table(rows: Sequence[Row]) -> Table:
    """Any rows, as a table."""
    table = Table(box=None, pad_edge=False)
    for name, value in rows[0].items() if rows else ():
        number = isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)
        table.add_column(name, justify="right" if number else "left", overflow="ellipsis")
    for row in rows:
        table.add_row(*(_shown(value) for value in row.values()))
    return table


def _shown(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M}"
        case Decimal():
            return f"{value:,.2f}".removesuffix(".00")
        case float():
            return f"{value:,.3f}"
        case _:
            return str(value)


def _asked(command: str) -> Text:
    return Text.assemble(("\n  $ ", "dim"), (command, "green"))
