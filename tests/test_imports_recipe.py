"""Recipes: what they may say, and what is said of those that say it wrong."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

import pytest

from imports.feed import Feed
from imports.recipe import (
    RECIPES,
    Ask,
    CustomField,
    Lookup,
    Recipe,
    RecipeInvalid,
    Similar,
    Step,
    load,
)
from imports.source import Column, Reference

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """
name = "leads"
title = "Leads of a shop"

[[step]]
name = "lead"
file = "leads.csv"
key = "id"

[[step.ask]]
command = "CaptureLead"
fields = { name = "name", source = { value = "shop" } }
"""


def written(path: Path, *changes: tuple[str, str]) -> str:
    """The good recipe with some text changed, as a file."""
    text = GOOD
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    file = path / "mine.toml"
    file.write_text(text, encoding="utf-8")
    return str(file)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_that_comes_along_is_valid_and_named_after_its_file(path):
    recipe = load(path.stem)
    assert recipe.name == path.stem
    assert recipe.title
    assert recipe.description
    assert all(field.description for fields in recipe.custom.values() for field in fields.values())


def test_a_recipe_may_be_anybodys_file(tmp_path):
    assert load(written(tmp_path)).files == ("leads.csv",)


def test_the_recipe_of_the_manual_is_valid(tmp_path):
    manual = RECIPES.with_name("README.md").read_text(encoding="utf-8")
    text, more = re.findall(r"```toml\n(.*?)```", manual, re.DOTALL)
    (tmp_path / "manual.toml").write_text(text, encoding="utf-8")
    recipe = load(str(tmp_path / "manual.toml"))
    assert [ask.command for step in recipe.step for ask in step.ask] == [
        "CaptureLead",
        "DisqualifyLead",
    ]
    [step] = tomllib.loads(more)["step"]
    assert Similar.model_validate(step["similar"]).among == ("lead", "contact")


@pytest.mark.parametrize("part", [Recipe, Step, Ask, CustomField, Lookup, Column, Reference])
def test_the_manual_explains_every_word(part):
    manual = RECIPES.with_name("README.md").read_text(encoding="utf-8")
    unexplained = [word for word in part.model_fields if not re.search(rf"\b{word}\b", manual)]
    assert unexplained == []


def test_an_unknown_recipe_is_told_with_those_there_are():
    with pytest.raises(RecipeInvalid, match="no recipe nope; there are deals_maven, funnel_olist"):
        load("nope")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("CaptureLead", "CatchLead", "step.0.ask.0.command: .*there is no command CatchLead"),
        ('name = "name"', 'nom = "name"', "CaptureLead has no field nom"),
        ('name = "name", ', "", "CaptureLead needs name"),
        ('{ value = "shop" }', '{ valu = "shop" }', "source.column.valu: Extra inputs"),
        ('{ value = "shop" }', '{ ref = "shop", key = "x" }', "makes records of the kind shop"),
        ('{ value = "shop" }', '{ ref = "lead" }', "takes its key from a column, or names the key"),
        ('{ value = "shop" }', '{ column = "c", lookup = "prices" }', "there is no lookup prices"),
        ('key = "id"', 'keys = "id"', "step.0.key: Field required"),
        ('title = "Leads of a shop"', 'title = ""', "title: "),
        ('name = "leads"', 'name = "leads"\ndates = ["dd.mm"]', "spelled with yyyy, mm and dd"),
        ('name = "leads"', 'name = "leads"\nsince = 2017-01-01T10:00:00', "`since` is a day"),
        ('name = "leads"', "name = leads", "Invalid value"),
        ('"shop" } }', '"shop" } }\ncustom = { a = "b" }', "no custom field a is declared"),
        ("[[step.ask]]", '[[step.ask]]\ncommand = "WinDeal"\n[[step.ask]]', "several aggregates"),
    ],
)
def test_a_recipe_that_says_it_wrong_is_told_where(tmp_path, before, after, said):
    with pytest.raises(RecipeInvalid, match=said):
        load(written(tmp_path, (before, after)))


def test_two_steps_cannot_share_a_name(tmp_path):
    step = GOOD[GOOD.index("[[step]]") :]
    with pytest.raises(RecipeInvalid, match="two steps have the same name"):
        load(written(tmp_path, (step, step + step)))


def test_a_command_without_custom_fields_takes_none():
    asks = {"command": "AssignLead", "fields": {"owner": "o"}, "custom": {"a": "b"}}
    step = {"name": "lead", "file": "leads.csv", "key": "id", "ask": [asks]}
    with pytest.raises(ValueError, match="AssignLead takes no custom fields"):
        Recipe.model_validate({"name": "leads", "title": "Leads", "step": [step]})


def test_files_have_to_fit_the_recipe(tmp_path):
    recipe = load(written(tmp_path))
    with pytest.raises(RecipeInvalid, match=r"there is no leads\.csv in"):
        Feed(recipe, tmp_path)
    (tmp_path / "leads.csv").write_text("id,title\n1,Boss\n", encoding="utf-8")
    with pytest.raises(RecipeInvalid, match=r"leads\.csv has no column name; it has id, title"):
        Feed(recipe, tmp_path)
    other = tmp_path / "other.csv"
    other.write_text("id,name\n1,Ann\n", encoding="utf-8")
    assert Feed(recipe, other).files == {"leads.csv": other}
    with pytest.raises(RecipeInvalid, match="takes 2 files; name the folder"):
        Feed(load("funnel_olist"), other)
