"""The page for analysts: its questions asked, its diagram drawn.

`python -m tests.analysts` writes it. The answers are those of the company of `tests.demo_log`.
"""

from __future__ import annotations

import re
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli import show
from projections.tables import Tables
from readmodels.catalog import catalog
from tests.demo_log import demo_log
from tests.random_log import arrow

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

    from readmodels.base import Database
    from readmodels.catalog import Catalog, Described, Entry

PAGE = Path(__file__).parent.parent / "docs/analysts.md"
DIAGRAM = re.compile(r"(?<=```mermaid\n).*?(?=```)", re.DOTALL)
QUESTION = re.compile(r"```sql\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)


def filled(page: str, database: Database) -> str:
    """The page with the diagram and the answers as they are."""
    drawn = "".join(f"{line}\n" for line in diagram(catalog(database)))
    page = DIAGRAM.sub(lambda _: drawn, page, count=1)

    def answered(found: re.Match[str]) -> str:
        answer = "".join(f"{line}\n" for line in table(database.sql_as_of(found[1])))
        return f"```sql\n{found[1]}```\n\n```text\n{answer}```"

    return QUESTION.sub(answered, page)


def table(answer: pl.DataFrame) -> Iterator[str]:
    """An answer as text: numbers to the right, everything else to the left."""
    rows = [list(answer.columns), *([cell(value) for value in row] for row in answer.iter_rows())]
    widths = [max(len(row[place]) for row in rows) for place in range(answer.width)]
    right = [kind.is_numeric() for kind in answer.dtypes]
    for row in rows:
        cells = (
            text.rjust(width) if number else text.ljust(width)
            for text, width, number in zip(row, widths, right, strict=True)
        )
        yield "  ".join(cells).rstrip()


def cell(value: Any) -> str:
    """A value as people read it."""
    return "" if value is None else show.value(value)


def diagram(everything: Catalog) -> Iterator[str]:
    """The star, as Mermaid draws it: tables, their keys and measures, and who knows whom."""
    shown = [e for e in everything.entries.values() if e.kind in {"dimension", "fact"}]
    shown = [e for e in shown if not e.personal and e.name not in {"event", "clock"}]
    names = {entry.name for entry in shown}
    yield "erDiagram"
    for entry in shown:
        about = subject(entry)
        if about in names and about != entry.name:
            yield f"  {about} ||--o{{ {entry.name} : id"
        for column in entry.columns:
            other = referred(column, names)
            if other and other != "user":
                yield f"  {other} |o--o{{ {entry.name} : {column.name}"
    for entry in shown:
        yield f"  {entry.name} {{"
        for column in entry.columns:
            kind = re.sub(r"\W.*", "", column.type).lower()
            if column.name in entry.key:
                yield f"    {kind} {column.name} PK"
            elif referred(column, names):
                yield f"    {kind} {column.name} FK"
            elif column.unit not in {"", "ordinal"}:
                yield f'    {kind} {column.name} "{column.unit}"'
        yield "  }"


def subject(entry: Entry) -> str:
    """The record that a row is about."""
    return entry.columns[0].lineage.events[0].split(".")[0]


def referred(column: Described, names: set[str]) -> str:
    """The dimension that a column names a record of; users are named by what they are."""
    if column.type != "UUID" or column.name == "actor":
        return ""
    if column.name.endswith("owner"):
        return "user"
    name = column.name.removesuffix("_id")
    return name if name in names and name != column.name else ""


def demo(folder: str) -> Tables:
    """The tables of the demo company."""
    tables = Tables(Path(folder))
    tables.apply(arrow(demo_log()))
    return tables


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, closing(demo(folder)) as tables:
        PAGE.write_text(filled(PAGE.read_text(), tables.database))
