"""What holds of the code of domain and commands: where things stand, and what names what."""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from commands import COMMANDS
from commands.base import Command
from domain import AGGREGATES
from domain.base import Event, Refusal, State
from tests.test_conventions import EVERY_COMMAND, EVERY_REFUSAL, REFUSALS, placeholders

ROOT = Path(__file__).parent.parent
SHARED = {"base", "values", "undo", "merger", "__init__"}
DOMAIN = sorted(path for path in (ROOT / "domain").glob("*.py") if path.stem not in SHARED)
RULES = sorted([*(ROOT / "domain").glob("*.py"), *(ROOT / "commands").glob("*.py")])
TESTS = sorted(
    path
    for path in (ROOT / "tests").glob("test_*.py")
    if not path.stem.startswith("test_conventions")
)
IMPURE = set("now utcnow today time monotonic uuid1 uuid4 random randint choice urandom".split())
FUNCTION_LINES_MAX = 40
FILE_LINES_MAX = 350


def stem(path: Path) -> str:
    return path.stem


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def used_in_tests() -> Counter[str]:
    """Names that tests use, beside importing them."""
    return Counter(
        node.id for path in TESTS for node in ast.walk(tree(path)) if isinstance(node, ast.Name)
    )


def raised() -> list[tuple[str, set[str], bool]]:
    """Every `raise` of the business, as (refusal, details named, and more may be in **)."""
    found = []
    for path in RULES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call | ast.Name):
                call = node.exc if isinstance(node.exc, ast.Call) else ast.Call(node.exc, [], [])
                names = {keyword.arg for keyword in call.keywords if keyword.arg}
                more = any(keyword.arg is None for keyword in call.keywords)
                found.append((ast.unparse(call.func), names, more))
    return found


@pytest.mark.parametrize("path", DOMAIN, ids=stem)
def test_an_aggregate_knows_no_other(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom):
            assert node.module is not None
            package, *module = node.module.split(".")
            assert package not in {"commands", "eventstore"}
            assert package != "domain" or module[:1] in [[name] for name in SHARED]


@pytest.mark.parametrize("path", RULES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_a_rule_looks_at_no_clock_and_throws_no_dice(path):
    called = {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
    }
    assert not called & IMPURE


@pytest.mark.parametrize("path", RULES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_declarations_fit_on_a_page(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= FILE_LINES_MAX
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < FUNCTION_LINES_MAX, node.name


@pytest.mark.parametrize("path", DOMAIN, ids=stem)
def test_a_page_of_the_domain_tells_events_then_union_then_refusals_then_state(path):
    classes = {
        cls.__name__: kind
        for kind, root in enumerate((Event, Refusal, State))
        for cls in every(root)
        if cls.__module__ == f"domain.{path.stem}"
    }
    order = [
        classes[node.name]
        for node in tree(path).body
        if isinstance(node, ast.ClassDef) and node.name in classes
    ]
    assert order == sorted(order)


def every(root: type[Any]) -> set[type[Any]]:
    return {sub for child in root.__subclasses__() for sub in (child, *every(child))}


@pytest.mark.parametrize("path", DOMAIN, ids=stem)
def test_one_name_in_every_folder(path):
    assert (ROOT / "tests" / f"test_{path.stem}.py").exists()
    homes = {command.of.__module__ for command in COMMANDS}
    if f"domain.{path.stem}" in homes:
        assert (ROOT / "commands" / f"{path.stem}.py").exists()


def test_every_aggregate_has_its_page():
    pages = {of.__module__.removeprefix("domain.") for of in AGGREGATES}
    assert pages == {path.stem for path in DOMAIN}


@pytest.mark.parametrize("command", EVERY_COMMAND)
def test_a_command_decides_in_one_place(command):
    places = {"decide", "decide_in"} & vars(command).keys()
    assert len(places) == 1
    assert issubclass(command, Command)


@pytest.mark.parametrize("command", EVERY_COMMAND)
def test_a_command_is_tested_by_name(command):
    assert used_in_tests()[command.__name__]


@pytest.mark.parametrize("refusal", EVERY_REFUSAL)
def test_a_refusal_is_tested_by_name(refusal):
    assert used_in_tests()[refusal.__name__]


def test_a_refusal_is_raised_with_what_its_message_names():
    wanted = {refusal.__name__: placeholders(refusal) for refusal in REFUSALS}
    for name, details, more in raised():
        assert more or wanted.get(name, set()) <= details, f"raise {name}: {wanted[name] - details}"


@pytest.mark.parametrize("refusal", EVERY_REFUSAL)
def test_a_refusal_is_raised_somewhere(refusal):
    said = {
        node.id for path in RULES for node in ast.walk(tree(path)) if isinstance(node, ast.Name)
    }
    assert refusal.__name__ in said
