"""Whatever a command may be refused for, a test names both: found by reading the code."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from commands import COMMANDS
from domain.base import ReferenceUnknown
from domain.custom_fields import CustomFieldMistyped, CustomFieldUnknown
from tests.test_conventions import REFUSALS
from tests.test_conventions_of_code import ROOT, RULES, TESTS, tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from commands.base import Command

PROVOKED = {ReferenceUnknown, CustomFieldUnknown, CustomFieldMistyped}
"""Refusals that tests of references and custom fields provoke of whichever command may."""

REFUSED = {refusal.__name__ for refusal in REFUSALS if refusal not in PROVOKED}

Place = tuple[Path, str]
"""Something at the top of a file, or a method as `Class.method`."""


@cache
def defined(path: Path) -> dict[str, ast.AST]:
    """What stands at the top of a file, and the methods of its classes."""
    found: dict[str, ast.AST] = {}
    for node in tree(path).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                found[name] = node
            case ast.FunctionDef(name=name):
                found[name] = node
            case ast.ClassDef(name=name, body=body):
                found[name] = node
                methods = (inner for inner in body if isinstance(inner, ast.FunctionDef))
                found |= {f"{name}.{method.name}": method for method in methods}
    return found


@cache
def imported(path: Path) -> dict[str, Path]:
    """The names that a file imports from files of this project."""
    return {
        alias.name: source
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom) and node.module
        for source in [ROOT / f"{node.module.replace('.', '/')}.py"]
        if source.exists()
        for alias in node.names
    }


def place(path: Path, name: str) -> Place | None:
    """Where a name that a file uses is defined."""
    home = path if name in defined(path) else imported(path).get(name)
    return (home, name) if home and name in defined(home) else None


@cache
def methods(name: str) -> tuple[Place, ...]:
    """The methods of the business with this name, whoever's they are."""
    return tuple(
        (path, full) for path in RULES for full in defined(path) if full.endswith(f".{name}")
    )


def called(path: Path, node: ast.AST) -> Iterator[Place]:
    """The functions, methods and decisions that a piece of code calls."""
    for call in ast.walk(node):
        match call:
            case ast.Call(func=ast.Name(id=name)) if found := place(path, name):
                yield found
            case ast.Call(
                func=ast.Attribute(value=ast.Call(func=ast.Name(id=name)), attr="decide")
            ):
                yield imported(path).get(name, path), f"{name}.decide"
            case ast.Call(func=ast.Attribute(attr=name)) if name not in {"decide", "evolve"}:
                yield from methods(name)


def reached(start: Place) -> dict[Place, ast.AST]:
    """The code that runs when some code runs."""
    found: dict[Place, ast.AST] = {}
    waiting = [start]
    while waiting:
        path, name = waiting.pop()
        node = defined(path).get(name)
        if node is not None and (path, name) not in found and not isinstance(node, ast.ClassDef):
            found[path, name] = node
            waiting += called(path, node)
    return found


def refusals(command: type[Command[Any]]) -> set[str]:
    """What the decision of a command may be refused for, once its record exists."""
    [decision] = {"decide", "decide_in"} & vars(command).keys()
    home = ROOT / f"{command.__module__.replace('.', '/')}.py"
    return {
        name.id
        for node in reached((home, f"{command.__name__}.{decision}")).values()
        for raised in ast.walk(node)
        if isinstance(raised, ast.Raise) and raised.exc
        for name in ast.walk(raised.exc)
        if isinstance(name, ast.Name) and name.id in REFUSED
    } - {f"{command.of.__name__}Unknown"}


@cache
def named(path: Path, name: str) -> frozenset[str]:
    """What a test names, also by the constants and functions of tests that it uses."""
    seen: set[str] = set()
    waiting = [(path, name)]
    while waiting:
        home, known = waiting.pop()
        for node in ast.walk(defined(home)[known]):
            if isinstance(node, ast.Name) and node.id not in seen:
                seen.add(node.id)
                found = place(home, node.id)
                if found and found[0].parent == ROOT / "tests":
                    waiting.append(found)
    return frozenset(seen)


@cache
def said_together() -> frozenset[tuple[str, str]]:
    """The commands and refusals that stand in one test."""
    pairs: set[tuple[str, str]] = set()
    asked = {command.__name__ for command in COMMANDS}
    for path in TESTS:
        for name in defined(path):
            if name.startswith("test_"):
                said = named(path, name)
                pairs |= {(one, other) for one in said & asked for other in said & REFUSED}
    return frozenset(pairs)


PAIRS = sorted((command.__name__, why) for command in COMMANDS for why in refusals(command))


@pytest.mark.parametrize(("command", "refusal"), PAIRS)
def test_what_a_command_is_refused_for_is_tested(command: str, refusal: str):
    assert (command, refusal) in said_together()


def test_refusals_are_found_wherever_a_decision_leads():
    in_a_state = ("OpenDeal", "StageNotOpen")
    in_another_module = ("AssignLead", "UserInactive")
    by_another_decision = ("WinDeal", "DealNotOpen")
    assert {in_a_state, in_another_module, by_another_decision} <= set(PAIRS)
