"""What is imported: the files of a recipe, and the rows that stand in them.

It needs no log, and is there first: what does not fit is told at once, and the process that reads
a long file starts while the log is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self
from uuid import UUID

from eventstore.envelope import derived
from imports.files import find, lookup_table
from imports.rows import Rows
from imports.source import Reading
from imports.spill import Spill

if TYPE_CHECKING:
    from pathlib import Path

    from imports.recipe import Recipe

IMPORTS = UUID("b3a3f6d2-9c55-5d0e-8f0e-2f6f0c9a4d37")
"""Namespace of everything imports name; a recipe's own is `uuid5(IMPORTS, its name)`."""


class Feed:
    """The files of a recipe in a folder, or the one file it takes.

    Raises `RecipeInvalid` if they do not fit it.
    """

    def __init__(self, recipe: Recipe, path: Path) -> None:
        self.recipe = recipe
        self.namespace = derived(IMPORTS, recipe.name)
        self.files = find(recipe, path)
        lookups = {
            name: lookup_table(recipe, lookup, self.files[lookup.file])
            for name, lookup in recipe.lookup.items()
        }
        reading = Reading(recipe.format, lookups, self.namespace)
        self.spill = Spill()
        self.rows = [
            Rows(recipe, step, reading, self.files.get(step.file or ""), self.spill)
            for step in recipe.step
        ]
        """Of each step."""
        if long := next((rows for rows in self.rows if rows.apart), None):
            long.begin()

    def close(self) -> None:
        """What was begun is not read any more."""
        for rows in self.rows:
            rows.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
