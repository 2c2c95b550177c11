"""The macros of the SQL files in this folder, and the comments above them that explain them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from readmodels.schema import text

FILES = (
    "base merger lead pipeline deal ticket activity campaign customer contact timeline "
    "user score learner"
).split()
"""In the order they are loaded: macros may use earlier ones."""

MACRO = re.compile(
    r"((?:^--[^\n]*\n)+)(CREATE OR REPLACE MACRO (\w+)\(([^)]*)\) AS( TABLE)?.*?;)\n",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Macro:
    """A macro as it is written: its SQL, the comment above it, and where it stands."""

    name: str
    description: str
    parameters: tuple[str, ...]
    sql: str
    is_table: bool
    file: str

    def statements(self) -> str:
        """The statements that make it, with its comment."""
        kind = "MACRO TABLE" if self.is_table else "MACRO"
        return f"{self.sql}\nCOMMENT ON {kind} {self.name} IS {text(self.description)}"


@cache
def macros() -> dict[str, Macro]:
    """Every macro of this folder, in the order they are loaded."""
    found = {}
    for file in FILES:
        sql = (Path(__file__).parent / f"{file}.sql").read_text()
        for comment, statement, name, parameters, table in MACRO.findall(sql):
            told = " ".join(re.findall(r"-- ?(.*)", comment)).strip()
            names = tuple(re.findall(r"\w+(?=\s*(?::=|,|$))", re.sub(r":= NULL", ":=", parameters)))
            found[name] = Macro(name, told, names, statement, bool(table), f"{file}.sql")
    return found


def known(tables: set[str]) -> dict[str, str]:
    """By file, the statements for the macros of those whose tables are all there.

    A table that is declared today may be missing from files that were made yesterday.
    """
    found: dict[str, list[Macro]] = {}
    for macro in macros().values():
        found.setdefault(macro.file, []).append(macro)
    made: dict[str, str] = {}
    for file, those in found.items():
        needed = {macros()[name].file for macro in those for name in _called(macro)} - {file}
        if tables.issuperset(_asked(those)) and made.keys() >= needed:
            made[file] = ";\n".join(macro.statements() for macro in those)
    return made


def _called(macro: Macro) -> set[str]:
    return {name for name in re.findall(r"\b(\w+)\(", macro.sql) if name in macros()}


def _asked(those: list[Macro]) -> set[str]:
    """The tables that are named, with a moment or without; not what is named in the SQL itself."""
    sql = "\n".join(macro.sql for macro in those)
    at = set(re.findall(r"\b(\w+)_at\(", sql)) - {"position"}
    plain = set(re.findall(r"(?<!DISTINCT )\b(?:FROM|JOIN) (\w+)\b(?!\()", sql))
    defined = set(re.findall(r"\b(\w+)(?:\([^()]*\))? AS (?:MATERIALIZED )?\(", sql))
    return at | {name.removesuffix("_history") for name in plain - defined}
