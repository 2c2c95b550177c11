"""What if: the same fold over the same log with other rules, beside it as it is."""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow.compute as pc
import pytest
from hypothesis import given as for_any
from hypothesis import settings
from hypothesis import strategies as st

from cli import main
from cli.demo.company import PIPELINE, stages
from cli.demo.history import history, tell
from cli.session import session
from commands.pipeline import check_stages
from domain.base import Refusal
from domain.deal import Deal, DealLost, DealReopened, DealStageChanged, DealWon
from domain.pipeline import Pipeline
from eventstore.writer import Writer
from replay.beginning import begin_from
from replay.contrast import ReportUnknown
from replay.reread import Force, Retold, pages, reader, retold
from replay.rules import OtherStage, RulesInvalid, load
from replay.stage_map import StageMap, changed
from tests.databases import empty_database
from tests.demo_log import END
from tests.random_log import arrow, random_log
from tests.test_cli import Shell, served
from tests.whatif_story import InMemory, asked, middle, of_pipeline, story

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


OPEN = ("prospecting", "discovery", "proposal", "negotiation")


# Nothing other, nothing different


AS_THEY_ARE = {
    stage.key: {
        "probability": stage.probability,
        "status": stage.status,
        "forecast_category": stage.forecast_category,
        "name": stage.name,
    }
    for stage in stages("0.80")
}


@pytest.mark.parametrize("rules", [{}, of_pipeline(**AS_THEY_ARE)], ids=["none", "as they are"])
def test_by_the_same_rules_everything_is_the_same(tmp_path: Path, rules: dict[str, Any]):
    with asked(tmp_path, rules) as (found, sides):
        assert set(found.tables.values()) == {True}
        assert sides.base.digests() == sides.other.digests()
        assert [report.report for report in found.reports if report.differing] == []
        assert all(report.rows for report in found.reports)
        assert (found.told_otherwise, found.left_out) == ({}, {})


@for_any(st.integers(0, 10**9), st.sampled_from([None, 50, datetime(2024, 1, 2, tzinfo=UTC)]))
@settings(max_examples=60)
def test_whatever_happened_to_deals_is_told_as_it_was_where_no_stage_is_other(seed, after):
    log = random_log(seed, 150, of=(Deal, Pipeline))
    deals = (getattr(one.event, "pipeline_id", one.stream_id) for one in log)
    mapped = StageMap({str(id_): {} for id_ in deals}, log, Force(after))
    counted = Retold()
    table = arrow(log)
    assert retold(table, {"deal": mapped.deal, "pipeline": mapped.pipeline}, counted) is table
    assert (counted.otherwise, counted.left_out) == ({}, {})


def test_asked_twice_the_answer_is_the_same(tmp_path: Path):
    rules = of_pipeline(negotiation={"probability": "0.4"}, discovery={"into": "proposal"})
    with asked(tmp_path / "a", rules) as (once, sides):
        digests = sides.other.digests()
    with asked(tmp_path / "b", rules) as (twice, sides):
        assert sides.other.digests() == digests
    assert once == twice
    assert any(report.differing for report in once.reports)


# Another map of stages, computed once more with Polars from the log


def by_polars(log: InMemory, others: dict[str, dict[str, Any]], after: datetime | None):
    """Open deals by stage, from the events alone: the last move of each, with the other figures."""
    moves = ["deal.opened.v1", "deal.stage_changed.v1", "deal.won.v1", "deal.lost.v1"]
    events = pl.DataFrame(log.table).filter(pl.col("type").str.starts_with("deal."))
    data = pl.col("data").cast(pl.String)

    def said(name: str) -> pl.Expr:
        return data.str.json_path_match(f"$.{name}")

    told = events.select(
        "stream_id",
        "position",
        "type",
        pl.col("occurred_at").cum_max().over("stream_id").alias("effective_at"),
        said("amount").alias("amount"),
        pl.coalesce(said("to_stage"), said("stage")).alias("stage"),
        said("probability").alias("probability"),
    )
    last = (
        told.filter(pl.col("type").is_in([*moves, "deal.reopened.v2"]))
        .group_by("stream_id")
        .agg(pl.all().sort_by("position").last())
    )
    amount = (
        told.drop_nulls("amount")
        .group_by("stream_id")
        .agg(pl.col("amount").sort_by("position").last())
    )
    ended = pl.col("type").is_in(["deal.won.v1", "deal.lost.v1"])
    rows = last.filter(~ended).drop("amount").join(amount, on="stream_id").to_dicts()
    found: dict[str, list[Any]] = defaultdict(lambda: [0, Decimal(0)])
    for row in rows:
        stage, probability = row["stage"], row["probability"]
        if after is None or row["effective_at"] > after:
            other = others.get(stage, {})
            stage = other.get("into", stage)
            probability = others.get(stage, {}).get("probability", other.get("probability"))
            probability = probability or (FIGURES[stage] if "into" in other else row["probability"])
        found[stage][0] += 1
        found[stage][1] += Decimal(row["amount"]) * Decimal(probability)
    return {stage: (deals, round(expected, 2)) for stage, (deals, expected) in found.items()}


FIGURES = {stage.key: str(stage.probability) for stage in stages("0.80")}


LESS = {"negotiation": {"probability": "0.4"}, "proposal": {"probability": "0.9"}}
EARLY = {"discovery": {"into": "prospecting"}, "prospecting": {"probability": "0.02"}}
LATE = {"negotiation": {"into": "proposal"}}


@pytest.mark.parametrize(("others", "halfway"), [(LESS, True), (EARLY, False), (LATE, True)])
def test_other_stages_give_what_the_events_give_by_themselves(
    tmp_path: Path, *, others: dict[str, Any], halfway: bool
):
    after = middle() if halfway else None
    with asked(tmp_path, of_pipeline(**others), after=after) as (_, sides):
        rows = sides.other.database.query("SELECT stage, deals, expected FROM deal_pipeline()")
        base = sides.base.database.query("SELECT stage, deals, expected FROM deal_pipeline()")
    assert {stage: (n, e) for stage, n, e in rows.rows()} == by_polars(story(), others, after)
    assert {stage: (n, e) for stage, n, e in base.rows()} == by_polars(story(), {}, None)


def test_a_report_tells_what_is_beside_what_would_be(tmp_path: Path):
    others = {"negotiation": {"probability": "0.4", "forecast_category": "best_case"}}
    with asked(tmp_path, of_pipeline(**others)) as (found, _):
        by_name = {report.report: report for report in found.reports}
    [row] = by_name["deal_pipeline"].differing
    assert row.key["stage"] == "negotiation"
    assert row.was["deals"] == row.would_be["deals"]
    assert row.was["expected"] == 2 * row.would_be["expected"]
    assert by_name["win_loss"].differing == ()
    assert {"commit", "best_case"} == {
        row.key["forecast_category"] for row in by_name["deal_forecast"].differing
    }
    assert found.told_otherwise["deal.stage_changed.v1"] > 10
    assert set(found.told_otherwise) == {"pipeline.defined.v1", "deal.stage_changed.v1"}
    changed_tables = {name for name, same in found.tables.items() if not same}
    assert changed_tables == {"deal", "stage_change", "pipeline"}


def test_a_stage_that_counts_as_lost_ends_deals_when_they_come_into_it(tmp_path: Path):
    lost = {"negotiation": {"status": "lost"}}
    with asked(tmp_path, of_pipeline(**lost)) as (found, sides):
        query = sides.other.database.query
        assert query("FROM deal WHERE stage = 'negotiation' AND status = 'open'").is_empty()
        waterfall = query("SELECT residual, lost, closing FROM pipeline_waterfall()")
        base = sides.base.database.query("SELECT lost, closing FROM pipeline_waterfall()")
    assert set(waterfall["residual"]) == {0}
    assert waterfall["lost"][0] < base["lost"][0]
    assert waterfall["closing"][0] < base["closing"][0]
    # One that was lost from there is lost already.
    assert found.left_out["deal.lost.v1"] > 0


def test_a_deal_that_would_begin_in_a_lost_stage_is_told_as_it_was_and_counted(tmp_path: Path):
    with asked(tmp_path, of_pipeline(prospecting={"status": "lost"})) as (found, sides):
        opened = "FROM stage_change WHERE kind = 'opened' ORDER BY position"
        then = sides.other.database.query(opened)
        assert then.equals(sides.base.database.query(opened))
    assert any(f"Where {len(then):,} deals would have begun" in said for said in found.not_known)


other_stage = st.fixed_dictionaries(
    {},
    optional={
        "probability": st.sampled_from(["0", "0.25", "1"]),
        "status": st.sampled_from(["open", "lost"]),
    },
).filter(bool)
maps = st.dictionaries(st.sampled_from(OPEN), other_stage | st.just({"into": "proposal"}))


@for_any(maps, st.booleans())
@settings(max_examples=40)
def test_whatever_the_stages_deals_go_from_where_they_were(others, halfway):
    others = {k: OtherStage.model_validate(o) for k, o in others.items() if o.get("into") != k}
    try:
        check_stages(tuple(changed(stages("0.80"), others)))
    except Refusal:
        return
    log = story()
    mapped = StageMap(
        {str(PIPELINE): others},
        list(log.read(until=log.last_position(), types=["pipeline"])),
        Force(middle() if halfway else None),
    )
    retells = {"deal": mapped.deal, "pipeline": mapped.pipeline}
    table = retold(log.table, retells, Retold())
    standing: dict[str, tuple[bool, str]] = {}
    for row in table.select(["stream_id", "type", "data"]).to_pylist():
        fields = json.loads(row["data"])
        if row["type"] == "deal.opened.v1":
            standing[row["stream_id"]] = (True, fields["stage"])
        elif "to_stage" in fields:
            is_open, stage = standing[row["stream_id"]]
            assert fields["from_stage"] == stage
            # A deal that is lost, or won, already is neither lost again nor moved.
            if row["type"] in {DealStageChanged.type, DealLost.type}:
                assert is_open
            if row["type"] == DealReopened.type:
                assert not is_open
            ends = row["type"] in {DealWon.type, DealLost.type}
            standing[row["stream_id"]] = (not ends, fields["to_stage"])


def test_before_the_rules_are_in_force_nothing_is_other(tmp_path: Path):
    after = story().events[len(story().events) // 2].position
    with asked(tmp_path, of_pipeline(negotiation={"probability": "0"}), after=after) as (_, sides):
        then = "FROM deal_at(known_at := $at) ORDER BY id"
        then_base, then_other = (
            side.database.query(then, {"at": after}) for side in (sides.base, sides.other)
        )
        assert then_base.equals(then_other)
        now = sides.other.database.query("FROM deal WHERE probability = 0 AND status = 'open'")
        assert not now.is_empty()


def test_rules_that_never_count_are_told_as_such(tmp_path: Path):
    for after in (story().last_position(), END + timedelta(days=9)):
        with (
            pytest.raises(RulesInvalid, match="nothing later is looked at"),
            asked(tmp_path, {}, after=after),
        ):
            pass


def test_a_page_is_read_to_its_end_whatever_was_left_out():
    log = InMemory(random_log(1, 1_000, of=(Deal,)))
    coming = (page.filter(pc.field("version") > 1) for page in pages(log.read_arrow, 10**9))
    read, found = reader(coming), []
    while len(table := read(0, 7)) == 7:
        found += table["position"].to_pylist()
    found += table["position"].to_pylist()
    assert found == [one.position for one in log.events if one.version > 1]
    assert len(read(0, 7)) == 0


# Rules as they are written


def written(folder: Path, text: str) -> Path:
    path = folder / "rules.toml"
    path.write_text(text)
    return path


def test_rules_are_read_exactly(tmp_path: Path):
    path = written(
        tmp_path,
        """
        title = "Less hope"
        since = 2026-01-31
        [pipeline."New business"]
        negotiation = { probability = 0.55, forecast_category = "best_case" }
        discovery = { into = "prospecting" }
        """,
    )
    rules = load(path)
    assert rules.pipeline["New business"]["negotiation"].probability == Decimal("0.55")
    assert rules.after(UTC) == datetime(2026, 1, 31, 23, 59, 59, 999999, UTC)


WRONG = {
    'title = "x"': "nothing would be other",
    'title = "x"\n[rule.qualification]\nsum_max = 3': "rule.qualification.sum_max: Extra inputs",
    'title = "x"\n[rule.qualification]\nsum_min = 21': "rule.qualification.sum_min: Input",
    'title = "x"\n[score.a]\nmodel = { kind = "oracle" }': "a.model: Input tag 'oracle' found",
    'title = "x"\n[score.a]\nmodel = { kind = "naive_bayes", bins = 3 }': "bins: Extra inputs",
    "title = ": "is no TOML",
    "since = 2026-01-31": "title: Field required",
    'title = "x"\nstages = 1': "stages: Extra inputs are not permitted",
    'title = "x"\n[pipeline.a]': "pipeline.a: Dictionary should have at least 1 item",
    'title = "x"\n[pipeline.a]\nb = {}': "pipeline.a.b: says nothing",
    'title = "x"\n[pipeline.a]\nb = { probability = 1.5 }': "pipeline.a.b.probability: Inp",
    'title = "x"\n[pipeline.a]\nb = { into = "c", name = "d" }': "nothing else of its own",
    'title = "x"\n[pipeline.a]\nb = { status = "gone" }': "pipeline.a.b.status: Input should be",
}


@pytest.mark.parametrize(("text", "said"), WRONG.items())
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, said: str):
    with pytest.raises(RulesInvalid, match=re.escape(said)):
        load(written(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(RulesInvalid, match=r"none\.toml cannot be read: No such file"):
        load(tmp_path / "none.toml")


UNFIT: dict[str, dict[str, Any]] = {
    "there is no such pipeline; there are New business": {
        "pipeline": {"Old": {"a": {"into": "b"}}}
    },
    "closing: there is no stage closing; there are prospecting, discovery": of_pipeline(
        closing={"probability": "0.1"}
    ),
    "discovery: there is no stage closing": of_pipeline(discovery={"into": "closing"}),
    "goes into a stage that would not be there": of_pipeline(
        discovery={"into": "proposal"}, proposal={"into": "negotiation"}
    ),
    "score.lead_conversio: there is no such learner; there are lead_conversion, customer_health": {
        "score": {"lead_conversio": {}}
    },
    "score.lead_conversion.without: the learner has no input countri": {
        "score": {"lead_conversion": {"without": ["country", "countri"]}}
    },
    "exactly one won": of_pipeline(negotiation={"status": "won"}),
    "and closed is no forecast for that": of_pipeline(negotiation={"forecast_category": "closed"}),
}


@pytest.mark.parametrize(("said", "rules"), UNFIT.items())
def test_stages_that_do_not_fit_are_refused(tmp_path: Path, said: str, rules: dict[str, Any]):
    with pytest.raises(RulesInvalid, match=re.escape(said)), asked(tmp_path, rules):
        pass


def test_a_report_that_cannot_be_compared_is_refused(tmp_path: Path):
    for name in ("deal_pipelin", "customer_timeline"):
        unknown = pytest.raises(ReportUnknown, match="there are activity_summary")
        with unknown, asked(tmp_path, {}, reports=[name]):
            pass


# On the command line


RULES = """
title = "Less hope"
[pipeline."New business"]
negotiation = { probability = 0.1 }
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[tuple[Path, str]]:
    """The first weeks of the demo's company, with tables."""
    directory = tmp_path_factory.mktemp("whatif") / "data"
    with empty_database(postgres_url) as url:
        with session(directory, url, "test") as opened, Writer(opened.workspace.log) as writer:
            tell(history(END)[:500], writer, lambda _: None)
        assert main(["learn", "--data", str(directory), "--database-url", url]) == 0
        assert main(["sql", "SELECT 1", "--data", str(directory), "--database-url", url]) == 0
        yield directory, url


@pytest.fixture
def shell(
    home: tuple[Path, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    monkeypatch.setenv("BACKSTORY_DATABASE_URL", home[1])
    return Shell(home[0], capsys)


@pytest.fixture
def rules(tmp_path: Path) -> str:
    return str(written(tmp_path, RULES))


def standing(shell: Shell) -> Any:
    """Where the log, its bookmarks and its tables stand; and every file."""
    files = {
        str(path.relative_to(shell.data)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in shell.data.rglob("*")
        if path.is_file() and path.name != "lock"
    }
    with session(shell.data, os.environ["BACKSTORY_DATABASE_URL"], "test") as opened:
        log = opened.workspace.log
        with log.cursor() as cursor:
            cursor.execute("SELECT * FROM log_tracking ORDER BY application_name")
            return log.last_position(), cursor.fetchall(), files


def test_nothing_that_counts_is_touched(shell: Shell, rules: str):
    before = standing(shell)
    alone = shell.json("whatif", rules)
    assert [report["report"] for report in alone["reports"] if report["differing"]]
    assert standing(shell) == before
    with served(shell.data):
        deals = shell("sql", "FROM deal ORDER BY id", "--format", "csv")
        assert shell.json("whatif", rules, "--to", str(alone["position"])) == alone
        assert shell("sql", "FROM deal ORDER BY id", "--format", "csv") == deals
        assert list(shell.data.glob("scratch/*")) == []


def test_what_would_be_is_shown_written_and_kept(shell: Shell, rules: str, tmp_path: Path):
    shown = shell("whatif", rules)
    assert "Less hope" in shown
    assert "deal_pipeline: 1 of" in shown
    assert "The same as it is: win_loss" in shown
    kept, page = tmp_path / "kept", tmp_path / "w.html"
    shell("whatif", rules, "-o", str(page), "--keep", str(kept))
    assert "<svg" in page.read_text()
    assert "probability = 0.1" in page.read_text()
    expected = "SELECT DISTINCT probability FROM deal WHERE stage = 'negotiation'"
    assert shell("sql", expected, "--snapshot", str(kept), "--format", "csv").split() == [
        "probability",
        "0.1000",
    ]
    assert "By other rules: Less hope" in shell.err
    shell("whatif", rules, "--keep", str(kept), code=1)
    assert "is there already" in shell.err
    shell("sql", "SELECT 1", "--snapshot", str(tmp_path), code=1)
    assert "is no snapshot" in shell.err


def test_no_process_begins_from_what_would_be(
    home: tuple[Path, str], shell: Shell, rules: str, tmp_path: Path
):
    kept, folder = tmp_path / "kept", tmp_path / "tables"
    document = tmp_path / "w.json"
    shell("whatif", rules, "--keep", str(kept), "-o", str(document))
    assert json.loads(document.read_text())["title"] == "Less hope"
    with session(*home, "test") as opened:
        assert begin_from(kept, folder, opened.workspace.log) == 0
    assert not folder.exists()


def test_what_is_broken_off_leaves_nothing(
    shell: Shell, rules: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def interrupted(_: object) -> Any:
        def at(_: int) -> None:
            raise KeyboardInterrupt

        return at

    monkeypatch.setattr("cli.whatif.reached", interrupted)
    before = sorted(shell.data.iterdir())
    kept, document = tmp_path / "kept", tmp_path / "w.json"
    shell("whatif", rules, "--keep", str(kept), "-o", str(document), code=130)
    assert sorted(shell.data.iterdir()) == before
    assert [path.name for path in tmp_path.iterdir()] == ["rules.toml"]
