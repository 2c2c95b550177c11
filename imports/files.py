"""CSV and Parquet files: their rows as they stand there, and as they are meant."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import orjson

from imports.recipe import RecipeInvalid
from imports.source import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from imports.recipe import Lookup, Recipe
    from imports.source import Cells


class Line(NamedTuple):
    """One row of a file."""

    number: int
    """As a spreadsheet counts: the header is row 1."""
    record: bytes
    """As it stands there, as JSON: it is seldom looked at, and goes from process to process."""
    cells: Cells
    """Trimmed and corrected, columns that are needed only."""
    problem: str = ""
    """Why its cells cannot be told apart."""

    @property
    def told(self) -> str:
        """The record, for people."""
        read = json.loads(self.record.decode("utf-8", "surrogatepass"))
        return json.dumps(read, ensure_ascii=False)


MARK = "'"
"""What stands before a text that a spreadsheet would take for a formula, in an exact file."""


class Table:
    """A CSV or Parquet file, of which some columns are needed."""

    def __init__(self, recipe: Recipe, path: Path, columns: Sequence[str]) -> None:
        self.recipe, self.path = recipe, path
        missing = frozenset(("", *recipe.missing))
        self._columns = [
            (column, missing, recipe.correct.get(column, {})) for column in dict.fromkeys(columns)
        ]
        self._typed = path.suffix == ".parquet"
        header = self._header()
        if absent := [column for column, _, _ in self._columns if column not in header]:
            raise RecipeInvalid(
                f"{path.name} has no column {', '.join(absent)}; it has {', '.join(header)}"
            )

    def _header(self) -> list[str]:
        if self._typed:
            from imports import parquet  # noqa: PLC0415 - 25 MB, and a tenth of a second

            try:
                return parquet.header(self.path)
            except parquet.NoParquet as error:
                raise RecipeInvalid(str(error)) from None
        with self._open() as file:
            return next(csv.reader(file, delimiter=self.recipe.delimiter), [])

    def lines(self, tell: Callable[[int], None] = lambda _: None) -> Iterator[Line]:
        """Every row; `tell` hears how many characters were read."""
        if not self._typed:
            yield from self._written(tell)
            return
        from imports import parquet  # noqa: PLC0415 - as above

        for number, values in enumerate(parquet.records(self.path, tell), start=2):
            record = {name: as_text(value) for name, value in values.items() if value is not None}
            yield Line(number, _kept(record), self._cells(values))

    def _written(self, tell: Callable[[int], None]) -> Iterator[Line]:
        with self._open() as file:
            rows = csv.reader(_heard(file, tell), delimiter=self.recipe.delimiter)
            header = next(rows)
            for number, row in enumerate(rows, start=2):
                record = dict(zip(header, row, strict=False))
                if problem := self._problem(row, header):
                    yield Line(number, _kept(record), {}, problem)
                elif row:
                    yield Line(number, _kept(record), self._cells(record))

    def _problem(self, row: list[str], header: list[str]) -> str:
        if row and len(row) != len(header):
            return f"the row has {len(row)} cells, the header {len(header)}"
        try:
            "".join(row).encode()
        except UnicodeEncodeError:
            return f"the row holds bytes that are no text in {self.recipe.encoding}"
        return ""

    def _cells(self, record: Mapping[str, Any]) -> Cells:
        cells: dict[str, Any] = {}
        exact = self.recipe.exact
        for column, missing, correct in self._columns:
            value = record[column]
            if isinstance(value, str):
                text = self._exactly(value) if exact else value.strip()
                value = None if text in missing else correct.get(text, text)
            cells[column] = value
        return cells

    def _exactly(self, text: str) -> str:
        return text if self._typed else text.removeprefix(MARK)

    def _open(self) -> TextIO:
        # Bytes of another encoding come through as surrogates: one bad row does not end all.
        return self.path.open(encoding=self.recipe.encoding, errors="surrogateescape", newline="")


def find(recipe: Recipe, path: Path) -> dict[str, Path]:
    """The files of a recipe in a folder; `path` may be the file, where it takes only one."""
    if path.is_file():
        if len(recipe.files) != 1:
            raise RecipeInvalid(
                f"{recipe.name} takes {len(recipe.files)} files; name the folder they are in"
            )
        return {recipe.files[0]: path}
    found = {name: path / name for name in recipe.files}
    if absent := [name for name, file in found.items() if not file.is_file()]:
        raise RecipeInvalid(f"there is no {', '.join(absent)} in {path}")
    return found


def lookup_table(recipe: Recipe, lookup: Lookup, path: Path) -> dict[str, str | None]:
    """What a file gives for each key."""
    lines = Table(recipe, path, (lookup.key, lookup.value)).lines()
    found = ((line.cells.get(lookup.key), line.cells.get(lookup.value)) for line in lines)
    return {as_text(key): value for key, value in found if key is not None}


def _kept(record: Mapping[str, str]) -> bytes:
    try:
        return orjson.dumps(record)
    except TypeError:  # bytes that are no text
        return json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _heard(file: TextIO, tell: Callable[[int], None]) -> Iterator[str]:
    for line in file:
        tell(len(line))
        yield line
