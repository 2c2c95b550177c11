"""Pictures: what each shows, and the one style of all; they need no network to be drawn or seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import altair as alt

from cli.drawings import (
    FAINT,
    FONT,
    GRID,
    INK,
    Rows,
    calibrations,
    cohort,
    expected,
    forecast,
    funnel,
    pipeline,
    scores,
    waterfall,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture: the SELECT it shows, its title, what its subtitle adds, and how it is drawn."""

    sql: str
    title: str
    about: str
    draw: Callable[[Rows], Any]


PICTURES = {
    "pipeline": Picture(
        """SELECT *, concat_ws(': ',
          if((SELECT count(DISTINCT pipeline_id) FROM deal_pipeline()) > 1, pipeline, NULL),
          coalesce(stage_name, stage)) AS label
        FROM deal_pipeline()""",
        "Pipeline by stage",
        "open deals",
        pipeline,
    ),
    "funnel": Picture(
        """WITH counted AS (
          SELECT sum(captured) AS captured, sum(engaged) AS engaged, sum(qualified) AS qualified,
            sum(converted) AS converted, sum(deals_won) AS won
          FROM lead_funnel()
        )
        SELECT step, leads, leads / nullif(first_value(leads) OVER (), 0) AS share
        FROM counted UNPIVOT (leads FOR step IN (captured, engaged, qualified, converted, won))""",
        "From lead to sale",
        "every lead that ever took the step; shares of all captured",
        funnel,
    ),
    "waterfall": Picture(
        """SELECT currency, movement, amount
        FROM (FROM pipeline_waterfall({since}))
        UNPIVOT (amount FOR movement IN (
          opening, new, reopened, expanded, contracted, currency_changed, won, lost, closing))
        WHERE amount <> 0 OR movement IN ('opening', 'closing')""",
        "How the pipeline moved",
        "amounts of open deals",
        waterfall,
    ),
    "forecast": Picture(
        "SELECT *, moment() AS moment FROM deal_forecast() WHERE month IS NOT NULL",
        "Forecast by month",
        "won deals in the month they were won, open ones when they are due",
        forecast,
    ),
    "cohort": Picture(
        "FROM lead_cohorts()",
        "Conversion by month of capture",
        "leads that had become customers by then",
        cohort,
    ),
    "scores": Picture(
        "FROM learner_calibration()",
        "What was foreseen, and what came true",
        "first scores by tenths of the scale; on the dashed line they are right",
        scores,
    ),
}

BESIDE = {
    "deal_forecast": Picture(
        """SELECT month, currency, sum(expected) AS expected
        FROM deal_forecast() WHERE month IS NOT NULL GROUP BY ALL ORDER BY month""",
        "Expected revenue by month",
        "amount × probability, in the month of closing",
        expected,
    ),
    "learner_calibration": Picture(
        "FROM learner_calibration()",
        "What was foreseen, and what came true",
        "first scores by tenths of the scale; on the dashed line they are right",
        calibrations,
    ),
}
"""Pictures of two sides of a report at once: each row says of which `side` it is."""


def drawn(picture: Picture, rows: Rows, subtitle: Sequence[str]) -> Any:
    """The picture of these rows, in the one style of all."""
    title = alt.TitleParams(picture.title, subtitle=list(subtitle), anchor="start", offset=18)
    chart = alt.vconcat(picture.draw(rows)).properties(title=title)
    return (
        chart.configure(font=FONT, background="white", padding=20)
        .configure_title(
            fontSize=18, color=INK, subtitleColor=FAINT, subtitleFontSize=12, subtitlePadding=6
        )
        .configure_axis(
            labelColor=FAINT,
            titleColor=INK,
            gridColor=GRID,
            domainColor=FAINT,
            tickColor=FAINT,
            labelFontSize=11,
            titleFontSize=12,
            titleFontWeight="normal",
            titlePadding=10,
            labelLimit=220,
        )
        .configure_view(stroke=None)
        .configure_legend(
            orient="bottom",
            labelColor=INK,
            titleColor=INK,
            titleFontWeight="normal",
            labelFontSize=11,
            titleFontSize=11,
            symbolType="square",
        )
    )
