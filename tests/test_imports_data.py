"""Real files: what is in the tables afterwards is what the files say, reckoned another way."""

from __future__ import annotations

import csv
import os
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid5

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from eventstore.workspace import Workspace
from eventstore.writer import Writer
from imports.base import Import
from imports.feed import IMPORTS, Feed
from imports.recipe import load
from projections.tables import Tables
from tests.databases import empty_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imports.report import Summary

DATA = Path(os.environ.get("BACKSTORY_DATA", "../shared/data"))
LEAKS = ("tag", "quality", "profile_index", "asymmetrique", "notable", "lead_profile")
CPU_SECONDS_PER_ROW_MAX = 1 / 1_200


def real(name: str) -> Path:
    """A folder of real data; the test is skipped where there is none."""
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent; BACKSTORY_DATA names the folder with the real data")
    return folder


def take(workspace: Workspace, name: str, folder: Path) -> Summary:
    """Import a folder by a recipe."""
    with Writer(workspace.log) as writer:
        return Import(Feed(load(name), folder), workspace.log, writer).run()


@contextmanager
def imported(name: str, url: str, directory: Path) -> Iterator[tuple[Workspace, Tables, Summary]]:
    """A database of its own with the files of a recipe, and tables over it."""
    folder = real(name)
    with empty_database(url) as database_url, Workspace.open(directory, database_url) as workspace:
        began = time.process_time()
        summary = take(workspace, name, folder)
        summary.cpu_seconds = time.process_time() - began  # type: ignore[attr-defined]
        tables = Tables(directory / "tables")
        follow(workspace, tables)
        yield workspace, tables, summary
        tables.close()


def follow(workspace: Workspace, tables: Tables) -> None:
    """Bring the tables up to the log."""
    while len(batch := workspace.log.read_arrow(tables.taken, 50_000)):
        tables.apply(batch)


@pytest.fixture(scope="module")
def maven(postgres_url, tmp_path_factory):
    with imported("deals_maven", postgres_url, tmp_path_factory.mktemp("maven")) as found:
        yield found


@pytest.fixture(scope="module")
def xeducation(postgres_url, tmp_path_factory):
    with imported("leads_xeducation", postgres_url, tmp_path_factory.mktemp("leads")) as found:
        yield found


@pytest.fixture(scope="module")
def olist(postgres_url, tmp_path_factory):
    with imported("funnel_olist", postgres_url, tmp_path_factory.mktemp("olist")) as found:
        yield found


def pipeline_csv() -> pl.DataFrame:
    """The deals of deals_maven, straight from the file."""
    day = "%m/%d/%Y"
    return pl.read_csv(real("deals_maven") / "sales_pipeline.csv").with_columns(
        pl.col("engage_date", "close_date").str.to_date(day)
    )


def test_every_deal_stands_in_its_stage(maven):
    _, tables, summary = maven
    assert (summary.total.failed, summary.total.clipped) == (0, 0)
    expected = (
        pipeline_csv()
        .group_by(pl.col("deal_stage").str.to_lowercase().alias("stage"))
        .agg(pl.len().cast(pl.Int64).alias("deals"))
        .sort("stage")
    )
    found = tables.database.query("SELECT stage, count(*) AS deals FROM deal GROUP BY 1 ORDER BY 1")
    assert_frame_equal(found, expected)


def test_what_was_won_is_worth_what_the_file_says(maven):
    _, tables, _ = maven
    won = pipeline_csv().filter(pl.col("deal_stage") == "Won")
    found = tables.database.query(
        "SELECT product, sum(amount)::BIGINT AS amount FROM deal WHERE status = 'won' "
        "GROUP BY 1 ORDER BY 1"
    )
    product = pl.col("product").replace("GTXPro", "GTX Pro")
    expected = won.group_by(product).agg(pl.col("close_value").sum().alias("amount"))
    assert_frame_equal(found, expected.sort("product"))


def test_the_win_rate_of_every_rep_in_every_quarter(maven):
    _, tables, _ = maven
    found = tables.database.query(
        """
        SELECT owner::TEXT AS owner, year(closed_at) AS year, quarter(closed_at) AS quarter,
          count(*) FILTER (status = 'won') AS won, count(*) AS closed
        FROM deal WHERE status IN ('won', 'lost') GROUP BY ALL ORDER BY ALL
        """
    )
    assert_frame_equal(found, win_rates(None))


def test_the_win_rate_as_it_was_in_the_middle_of_2017(maven):
    _, tables, _ = maven
    found = tables.database.query(
        """
        SELECT owner::TEXT AS owner, year(closed_at) AS year, quarter(closed_at) AS quarter,
          count(*) FILTER (status = 'won') AS won, count(*) AS closed
        FROM deal_at(as_of := '2017-06-30') WHERE status IN ('won', 'lost')
        GROUP BY ALL ORDER BY ALL
        """
    )
    assert_frame_equal(found, win_rates(pl.date(2017, 6, 30)))


def win_rates(until: pl.Expr | None) -> pl.DataFrame:
    """Deals won and closed per agent and quarter, straight from the file."""
    namespace = uuid5(IMPORTS, "deals_maven")
    closed = pipeline_csv().filter(pl.col("close_date").is_not_null())
    owner = pl.col("sales_agent").map_elements(
        lambda name: str(uuid5(namespace, f"user\x1f{name}")), return_dtype=pl.String
    )
    date = pl.col("close_date")
    return (
        closed.filter(date <= until if until is not None else pl.lit(value=True))
        .group_by(
            owner.alias("owner"),
            date.dt.year().cast(pl.Int64).alias("year"),
            date.dt.quarter().cast(pl.Int64).alias("quarter"),
        )
        .agg(
            (pl.col("deal_stage") == "Won").sum().cast(pl.Int64).alias("won"),
            pl.len().cast(pl.Int64).alias("closed"),
        )
        .sort("owner", "year", "quarter")
    )


def test_ten_rows_more_and_five_changed(maven, tmp_path):
    workspace, tables, _ = maven
    folder = tmp_path / "deals_maven"
    folder.mkdir()
    for path in real("deals_maven").glob("*.csv"):
        (folder / path.name).write_bytes(path.read_bytes())
    with (folder / "sales_pipeline.csv").open(newline="") as file:
        header, *rows = list(csv.reader(file))
    new = [[f"NEW-{row[0]}", *row[1:]] for row in rows[::880]]
    won = [row for row in rows if row[4] == "Won"][:5]
    for row in won:
        row[-1] = str(int(row[-1]) + 1_000)
    with (folder / "sales_pipeline.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows[:4_000], *new, *rows[4_000:]])

    before = tables.database.query("SELECT sum(amount) AS s, count(*) AS n FROM deal").row(0)
    known_at = workspace.log.last_position()
    summary = take(workspace, "deals_maven", folder)
    assert (summary.total.imported, summary.total.changed, summary.total.failed) == (10, 5, 0)
    assert summary.total.events == sum(1 + (row[4] in {"Won", "Lost"}) for row in new) + sum(
        row[4] == "Won" for row in new
    ) + 5 * len(("reopened", "amount_changed", "won"))
    assert take(workspace, "deals_maven", folder).total.events == 0
    follow(workspace, tables)
    sql = "SELECT sum(amount) AS s, count(*) AS n FROM deal WHERE name NOT LIKE '% NEW-%'"
    assert tables.database.query(sql).row(0) == (before[0] + 5_000, before[1])
    earlier = "SELECT sum(amount) AS s, count(*) AS n FROM deal_at(known_at := ?)"
    assert tables.database.query(earlier, [known_at]).row(0) == before
    take(workspace, "deals_maven", real("deals_maven"))  # and back, for the tests to come
    follow(workspace, tables)


def test_the_funnel_by_origin_now_and_then(olist):
    _, tables, summary = olist
    assert (summary.total.failed, summary.steps["conversion"].clipped) == (0, 2)
    folder = real("funnel_olist")
    leads = pl.read_csv(folder / "olist_marketing_qualified_leads_dataset.csv").with_columns(
        pl.col("first_contact_date").str.to_date("%d-%m-%Y"),
        pl.col("origin").fill_null("unknown"),
    )
    closed = pl.read_csv(folder / "olist_closed_deals_dataset.csv").with_columns(
        pl.col("won_date").str.to_datetime()
    )
    funnel = leads.join(closed, on="mql_id", how="left").with_columns(
        # Whoever signed up is known from the first contact on, whatever the files say.
        pl.max_horizontal("won_date", pl.col("first_contact_date").cast(pl.Datetime)).alias("won")
    )
    for until in (datetime(2018, 3, 2, tzinfo=UTC), None):
        before = pl.lit(until or datetime.now(UTC)).dt.replace_time_zone(None)
        expected = (
            funnel.filter(pl.col("first_contact_date") < before)
            .group_by(pl.col("origin").alias("source"))
            .agg(
                pl.len().cast(pl.Int64).alias("leads"),
                (pl.col("won_date").is_not_null() & (pl.col("won") < before))
                .sum()
                .cast(pl.Int64)
                .alias("deals"),
            )
            .sort("source")
        )
        found = tables.database.query(
            """
            SELECT source, count(*) AS leads, count(deal.id) AS deals
            FROM lead_at(as_of := $as_of) AS lead
            LEFT JOIN deal_at(as_of := $as_of) AS deal
              ON deal.id = lead.deal_id AND deal.status = 'won'
            GROUP BY 1 ORDER BY 1
            """,
            {"as_of": until and until - timedelta(microseconds=1)},
        )
        assert_frame_equal(found, expected)


def test_every_lead_has_its_outcome_and_nothing_that_gives_it_away(xeducation):
    workspace, tables, summary = xeducation
    assert (summary.total.imported, summary.total.failed) == (9_240, 0)
    leads = pl.read_csv(real("leads_xeducation") / "Leads.csv", infer_schema_length=None)
    found = tables.database.query(
        """
        SELECT count(*) FILTER (status = 'converted'), count(*) FILTER (status = 'disqualified'),
          sum(total_visits)::BIGINT, count(*) FILTER (do_not_email), count(city),
          count(*) FILTER (source = 'Google'), count(*) FILTER (country = 'IN')
        FROM lead
        """
    ).row(0)
    assert found == (
        leads["Converted"].sum(),
        (leads["Converted"] == 0).sum(),
        leads["TotalVisits"].sum(),
        (leads["Do Not Email"] == "Yes").sum(),
        leads["City"].is_in(["Select"]).not_().sum(),
        leads["Lead Source"].is_in(["Google", "google"]).sum(),
        (leads["Country"] == "India").sum(),
    )
    declared = [e.event.name for e in workspace.log.read(types=["custom_fields"])]
    assert len(declared) == 24
    assert not [name for name in declared if any(leak in name for leak in LEAKS)]


def test_leads_stand_in_the_order_of_the_file(xeducation):
    workspace, _, _ = xeducation
    numbers = [e.event.name for e in workspace.log.read(types=["lead.captured.v1"])]
    leads = pl.read_csv(real("leads_xeducation") / "Leads.csv", infer_schema_length=None)
    assert numbers == [f"Prospect {number}" for number in leads["Lead Number"]]


def test_an_import_costs_little(xeducation):
    # In seconds of the processor: those of the clock depend on what else runs here.
    _, _, summary = xeducation
    assert summary.cpu_seconds / summary.total.rows < CPU_SECONDS_PER_ROW_MAX
