"""Pictures show what the reports say, name their axes and units, and need no network."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from cli import chart, main
from cli.pictures import PICTURES, drawn
from tests.reports import reports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AT = datetime(2025, 1, 15, tzinfo=UTC)
SINCE = "'2024-10-31'"

AXES = {
    "pipeline": {"Stage", "Amount of open deals (EUR)", "Amount of open deals (USD)"},
    "funnel": {"Step", "Leads (number)"},
    "waterfall": {"Movement", "Open pipeline (EUR)"},
    "forecast": {"Month of closing", "Amount due (EUR)"},
    "cohort": {"Months since capture (number)", "Month of capture", "Converted (share)"},
    "scores": {"Foreseen (probability)", "Came true (share)", "Outcomes (number)"},
}
EACH = pytest.mark.parametrize("name", PICTURES)


def rows_of(name: str) -> list[dict[str, Any]]:
    answer = reports().database.sql_as_of(PICTURES[name].sql.format(since=SINCE), as_of=AT)
    return chart.plain(answer)


def spec_of(name: str, rows: list[dict[str, Any]]) -> Any:
    said = [chart.told(AT, 100), PICTURES[name].about]
    return drawn(PICTURES[name], rows, said).to_dict()


def every(spec: Any, key: str) -> Iterator[Any]:
    """All that a part of a picture says under a key, however deep."""
    if isinstance(spec, dict):
        if key in spec:
            yield spec[key]
        for value in spec.values():
            yield from every(value, key)
    elif isinstance(spec, list):
        for value in spec:
            yield from every(value, key)


def shown(spec: Any) -> list[dict[str, Any]]:
    """The data points of a picture."""
    inline = [row for values in every(spec, "values") if isinstance(values, list) for row in values]
    named = [row for rows in spec.get("datasets", {}).values() for row in rows]
    return [row for row in (*inline, *named) if isinstance(row, dict)]


@EACH
def test_a_picture_names_its_axes_with_units(name: str):
    spec = spec_of(name, rows_of(name))
    titles = {title for title in every(spec, "title") if isinstance(title, str)}
    assert AXES[name] <= titles


@EACH
def test_a_picture_says_what_it_shows_and_of_which_moment(name: str):
    title = spec_of(name, rows_of(name))["title"]
    assert title["text"] == PICTURES[name].title
    assert title["subtitle"][0] == "As of 15 January 2025, 00:00 UTC, as known at position 100"


@EACH
def test_a_picture_has_every_row_of_the_answer(name: str):
    rows = rows_of(name)
    points = shown(spec_of(name, rows))
    assert rows
    for row in rows:
        assert any(row.items() <= point.items() for point in points), row


@EACH
def test_nothing_of_a_picture_is_said_by_hue_alone(name: str):
    spec = spec_of(name, rows_of(name))
    for scale in every(spec, "range"):
        colours = [one for one in scale if isinstance(one, str)] if isinstance(scale, list) else []
        greys = sorted(lightness(one) for one in colours)
        assert all(b - a > 0.07 for a, b in pairwise(greys)), greys


def lightness(colour: str) -> float:
    """How light a colour is in grey, 0 to 1."""
    red, green, blue = (int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_a_waterfall_runs_from_what_was_open_to_what_is_open():
    points = shown(spec_of("waterfall", rows_of("waterfall")))
    for currency in {point["currency"] for point in points}:
        bars = [point for point in points if point["currency"] == currency]
        bars = list({bar["movement"]: bar for bar in bars}.values())
        assert bars[-1]["movement"] == "closing"
        assert bars[-2]["end"] == pytest.approx(bars[-1]["amount"], abs=0.01)


@pytest.mark.parametrize("kind", ["svg", "png", "html"])
def test_a_file_needs_nothing_from_outside(tmp_path: Path, kind: str):
    picture = drawn(PICTURES["funnel"], rows_of("funnel"), ["As of today"])
    file = tmp_path / f"funnel.{kind}"
    chart.save(picture, file)
    content = file.read_bytes()
    assert list(tmp_path.iterdir()) == [file]
    if kind == "png":
        assert content.startswith(b"\x89PNG")
        return
    text = content.decode()
    assert "From lead to sale" in text
    assert not re.search(r"<script[^>]+src=|<link[^>]+href=|@import", text)


def test_what_is_missing_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    for name in ("cli.pictures", "cli.drawings"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "altair", None)
    assert main(["chart", "funnel", "-o", "f.svg", "--data", str(tmp_path / "data")]) == 1
    assert "pip install 'backstory[charts]'" in capsys.readouterr().err


def test_what_cannot_be_drawn_is_said_before_anything_is_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    data = str(tmp_path / "data")
    assert main(["chart", "pipeline", "-o", str(tmp_path / "p.pdf"), "--data", data]) == 2
    assert "is no .svg, .png or .html" in " ".join(capsys.readouterr().err.split())
    assert main(["chart", "pipeline", "--since", "2026-01-01", "-o", "p.svg", "--data", data]) == 2
    assert "only a waterfall" in " ".join(capsys.readouterr().err.split())
