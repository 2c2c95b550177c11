"""How each picture is drawn: marks, axes and colours, in Vega-Lite by way of Altair.

All of them can be told apart in grey: meaning is in lightness, in order and in words, never in hue
alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

if TYPE_CHECKING:
    from collections.abc import Callable

Rows = list[dict[str, Any]]

DARK, MIDDLE, LIGHT = "#1f3a56", "#4f86b5", "#c3d7e8"
LEAVES = "#e08e3c"
INK, FAINT, GRID = "#22303c", "#5d6b78", "#e3e8ec"
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
WIDTH = 560
ROUND = "datum.value === 0 ? '0' : datum.label"
CATEGORIES = ["closed", "commit", "best_case", "pipeline", "omitted"]
SHADES = [DARK, "#3f6d97", "#7ba6c9", LIGHT, "#e9e9e9"]


def _of(rows: Rows) -> alt.Chart:
    return alt.Chart(alt.InlineData(values=rows))


def _money(name: str, title: str, currency: str, **more: Any) -> alt.X:
    axis = alt.Axis(format="~s", labelExpr=ROUND, title=f"{title} ({currency})")
    return alt.X(f"{name}:Q", axis=axis, **more)


def _each_currency(rows: Rows, draw: Callable[[Rows, str], Any], weighs: str = "amount") -> Any:
    """One picture below the other for each currency: amounts in several cannot be compared."""
    currencies = sorted({row["currency"] for row in rows}, key=lambda c: -_total(rows, c, weighs))
    drawn = [draw([row for row in rows if row["currency"] == c], c) for c in currencies]
    return drawn[0] if len(drawn) == 1 else alt.vconcat(*drawn, spacing=28)


def _total(rows: Rows, currency: str, weighs: str) -> float:
    return sum(abs(float(row[weighs])) for row in rows if row["currency"] == currency)


def pipeline(rows: Rows) -> Any:
    """What stands in each stage, and what of it is to be expected."""
    return _each_currency(rows, _stages)


def _stages(rows: Rows, currency: str) -> Any:
    shown = [
        {**row, "what": what, "value": row[name]}
        for row in rows
        for what, name in (("amount", "amount"), ("expected: amount × probability", "expected"))
    ]
    order = [row["label"] for row in rows]
    what = alt.Color("what:N", title=None).scale(
        domain=["amount", "expected: amount × probability"], range=[LIGHT, DARK]
    )
    base = _of(shown).encode(
        y=alt.Y("label:N", sort=order, title="Stage"),
        tooltip=["label:N", "deals:Q", "amount:Q", "expected:Q"],
    )
    bars = base.mark_bar().encode(
        x=_money("value", "Amount of open deals", currency, stack=None),
        color=what,
        size=alt.condition("datum.what == 'amount'", alt.value(24), alt.value(10)),
        order=alt.Order("what:N"),
    )
    words = (
        base.transform_filter("datum.what == 'amount'")
        .transform_calculate(said="datum.deals + (datum.deals == 1 ? ' deal' : ' deals')")
        .mark_text(align="left", dx=6, color=FAINT)
        .encode(x="value:Q", text="said:N")
    )
    return alt.layer(bars, words).properties(width=WIDTH, height={"step": 38})


def funnel(rows: Rows) -> Any:
    """How many leads took each step."""
    order = [row["step"] for row in rows]
    base = _of(rows).encode(
        y=alt.Y("step:N", sort=order, title="Step"),
        x=alt.X("leads:Q", title="Leads (number)", axis=alt.Axis(format=",d", grid=False)),
    )
    bars = base.mark_bar(size=26).encode(
        color=alt.Color("leads:Q", legend=None).scale(range=[LIGHT, DARK])
    )
    words = (
        base.transform_calculate(
            said="format(datum.leads, ',') + '  ·  ' + format(datum.share, '.0%')"
        )
        .mark_text(align="left", dx=6, color=INK)
        .encode(text="said:N")
    )
    return alt.layer(bars, words).properties(width=WIDTH, height={"step": 38})


def waterfall(rows: Rows) -> Any:
    """From what was open to what is open."""
    return _each_currency(rows, _steps)


def _steps(rows: Rows, currency: str) -> Any:
    level, shown = 0.0, []
    for row in rows:
        total = row["movement"] in {"opening", "closing"}
        start = 0.0 if total else level
        level = row["amount"] if total else level + row["amount"]
        kind = "open" if total else "comes in" if row["amount"] >= 0 else "goes out"
        label = row["movement"].replace("_", " ")
        shown.append({**row, "label": label, "start": start, "end": level, "kind": kind})
    order = [row["label"] for row in shown]
    base = _of(shown).encode(
        x=alt.X("label:N", sort=order, title="Movement", axis=alt.Axis(labelAngle=0))
    )
    kinds = alt.Color("kind:N", title=None).scale(
        domain=["open", "comes in", "goes out"], range=[DARK, MIDDLE, LEAVES]
    )
    axis = alt.Axis(format="~s", labelExpr=ROUND, title=f"Open pipeline ({currency})")
    bars = base.mark_bar(size=38).encode(
        y=alt.Y("start:Q", axis=axis), y2="end:Q", color=kinds, tooltip=["label:N", "amount:Q"]
    )
    words = (
        base.transform_calculate(
            top="max(datum.start, datum.end)",
            said="format(datum.amount, datum.kind == 'open' ? '.3~s' : '+.3~s')",
        )
        .mark_text(dy=-8, color=INK)
        .encode(y="top:Q", text="said:N")
    )
    return alt.layer(bars, words).properties(width=WIDTH + 120, height=260)


def forecast(rows: Rows) -> Any:
    """What is due in each month, by how far it can be counted on."""
    found = {row["forecast_category"] for row in rows}
    domain = [name for name in CATEGORIES if name in found]
    return _each_currency(rows, lambda some, currency: _months(some, currency, domain))


def _months(rows: Rows, currency: str, domain: list[str]) -> Any:
    shades = dict(zip(CATEGORIES, SHADES, strict=True))
    category = (
        alt.Color("forecast_category:N", title="Forecast category")
        .scale(domain=domain, range=[shades[name] for name in domain])
        .legend(labelExpr="replace(datum.label, '_', ' ')")
    )
    base = _of(rows)
    month = alt.X(
        "utcyearmonth(month):T",
        title="Month of closing",
        scale=alt.Scale(type="utc"),
        axis=alt.Axis(format="%b %Y", tickCount=8),
    )
    axis = alt.Axis(format="~s", labelExpr=ROUND, title=f"Amount due ({currency})")
    bars = (
        base.transform_calculate(rank=f"indexof({CATEGORIES}, datum.forecast_category)")
        .mark_bar(stroke="white", strokeWidth=0.5)
        .encode(
            x=month,
            y=alt.Y("sum(amount):Q", axis=axis),
            color=category,
            order=alt.Order("rank:Q"),
            tooltip=["month:T", "forecast_category:N", "amount:Q", "deals:Q"],
        )
    )
    now = base.mark_rule(color=LEAVES, strokeWidth=2, strokeDash=[4, 3]).encode(x="min(moment):T")
    words = base.mark_text(align="left", dx=4, dy=-2, baseline="bottom", color=INK).encode(
        x="min(moment):T", y=alt.value(0), text=alt.value("the moment")
    )
    return alt.layer(bars, now, words).properties(width=WIDTH + 120, height=260)


def expected(rows: Rows) -> Any:
    """What is to be expected of each month, as it is and as it would be."""
    sides = list(dict.fromkeys(row["side"] for row in rows))
    side = alt.Color("side:N", title=None).scale(domain=sides, range=[LIGHT, DARK])

    def months(some: Rows, currency: str) -> Any:
        axis = alt.Axis(format="~s", labelExpr=ROUND, title=f"Expected ({currency})")
        bars = (
            _of(some)
            .mark_bar()
            .encode(
                x=alt.X("utcyearmonth(month):O", title="Month of closing").axis(
                    format="%b %Y", labelAngle=-45
                ),
                xOffset=alt.XOffset("side:N", sort=sides),
                y=alt.Y("expected:Q", axis=axis),
                color=side,
                tooltip=["month:O", "side:N", "expected:Q"],
            )
        )
        return bars.properties(width=WIDTH + 120, height=220)

    return _each_currency(rows, months, "expected")


def cohort(rows: Rows) -> Any:
    """What share of the leads of each month had been converted how many months later."""
    base = _of(rows).encode(
        x=alt.X(
            "months_since:O", title="Months since capture (number)", axis=alt.Axis(labelAngle=0)
        ),
        y=alt.Y("utcyearmonth(month):O", title="Month of capture", axis=alt.Axis(format="%b %Y")),
    )
    rate = alt.Color("conversion_rate:Q", title="Converted (share)").scale(
        range=["#f2f6f9", DARK], domainMin=0
    )
    cells = base.mark_rect(stroke="white").encode(
        color=rate.legend(format=".0%"), tooltip=["month:T", "captured:Q", "converted:Q"]
    )
    high = max(row["conversion_rate"] or 0 for row in rows)
    words = base.mark_text(fontSize=10).encode(
        text=alt.Text("conversion_rate:Q", format=".0%"),
        color=alt.condition(
            f"datum.conversion_rate > {high * 0.5}", alt.value("white"), alt.value(INK)
        ),
    )
    return alt.layer(cells, words).properties(width={"step": 34}, height={"step": 22})


def scores(rows: Rows) -> Any:
    """How often what was foreseen came true."""
    learners = sorted({row["learner"] for row in rows})
    drawn = [
        _calibration([row for row in rows if row["learner"] == name], name) for name in learners
    ]
    return drawn[0] if len(drawn) == 1 else alt.hconcat(*drawn, spacing=36)


def calibrations(rows: Rows) -> Any:
    """The same of each learner, as it is and as it would be."""
    learners = sorted({row["learner"] for row in rows})
    told = [{**row, "learner": f"{row['learner']}, {row['side']}"} for row in rows]
    pairs = [scores([row for row in told if row["learner"].startswith(n)]) for n in learners]
    return pairs[0] if len(pairs) == 1 else alt.vconcat(*pairs, spacing=28)


def _calibration(rows: Rows, learner: str) -> Any:
    share = alt.Axis(format=".0%", tickCount=5)
    ends = _of([{"at": 0}, {"at": 1}])
    perfect = ends.mark_line(color=FAINT, strokeDash=[5, 4]).encode(x="at:Q", y="at:Q")
    scale = alt.Scale(domain=[0, 1])
    base = _of(rows).encode(
        x=alt.X("foreseen:Q", title="Foreseen (probability)", axis=share, scale=scale),
        y=alt.Y("happened:Q", title="Came true (share)", axis=share, scale=scale),
    )
    line = base.mark_line(color=MIDDLE)
    points = base.mark_circle(color=DARK, opacity=0.9).encode(
        size=alt.Size("outcomes:Q", title="Outcomes (number)")
        .scale(range=[30, 500])
        .legend(symbolType="circle"),
        tooltip=["bin:Q", "outcomes:Q", "foreseen:Q", "happened:Q"],
    )
    named = alt.TitleParams(
        learner.replace("_", " ").capitalize(), fontSize=13, anchor="start", offset=10
    )
    return alt.layer(perfect, line, points).properties(width=270, height=270, title=named)
