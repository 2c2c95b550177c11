"""The recipe of an export: what its files say, in the language of every recipe."""

from __future__ import annotations

import json
from functools import cache
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from imports.again import AGAIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from commands.base import Command
    from imports.sheets import Format
    from imports.values import Kind

Verb = type["Command[Any]"]

EMPTY = {dict: "{}", tuple: "[]"}
"""What a field has that holds several values and may hold none, by its type."""

HEAD = """\
name = "backstory_records"
title = "Records of a Backstory workspace"
description = "{description}"
exact = true
order = "number"
"""
WITH_NAMES = "Every row is a command that was asked of a record; together they make the base again."
WITHOUT_NAMES = (
    f"{WITH_NAMES} Without personal values: ids stand for the names of people and for texts."
)
STEP = """
[[step]]
name = "{kind}"
file = "{kind}.{how}"
key = "event"
id = "id"
event = "event"
by = "actor"
"""
ASK = """
[[step.ask]]
command = "{verb}"
at = "at"
when = {{ command = "{verb}" }}
"""


def recipe_text(
    verbs: Mapping[str, Mapping[str, Verb]],
    columns: Mapping[str, Mapping[str, Kind | None]],
    how: Format,
    *,
    personal: bool,
) -> str:
    """The recipe for the commands that stand in the file of each kind of record."""
    parts = [HEAD.format(description=WITH_NAMES if personal else WITHOUT_NAMES)]
    for kind, asked in verbs.items():
        parts.append(STEP.format(kind=kind, how=how))
        for verb in in_order(asked):
            parts.append(ASK.format(verb=verb.__name__))
            lines = list(_fields(verb, columns[kind]))
            parts += ["\n[step.ask.fields]\n", *lines] if lines else []
    return "".join(parts)


def in_order(asked: Mapping[str, Verb]) -> Iterator[Verb]:
    """Commands in the order in which they are declared, whatever the log began with."""
    for wish in AGAIN.values():
        yield from (verb for verb in wish.verbs if verb.__name__ in asked)


def _fields(verb: Verb, columns: Mapping[str, Kind | None]) -> Iterator[str]:
    """Where the fields of a command come from, a line for each."""
    [wish] = {id(wish): wish for wish in AGAIN.values() if verb in wish.verbs}.values()
    for name in wish.fed:
        if name in columns:
            yield f"{name} = {_source(verb, name)}\n"
        elif verb.model_fields[name].is_required():
            yield f'{name} = {{ text = "{{id}}" }}\n'


def _source(verb: Verb, name: str) -> str:
    hint = get_type_hints(verb, include_extras=True)[name]
    several = get_origin(get_args(hint)[0] if get_origin(hint) is Annotated else hint)
    if several in EMPTY:
        return f'{{ column = "{name}", default = {EMPTY[several]} }}'
    if not nullable(verb, name) and takes_nothing(verb, name):
        return f'{{ column = "{name}", default = "" }}'
    return json.dumps(name)


@cache
def nullable(verb: Verb, name: str) -> bool:
    """Whether a field of a command may be null."""
    return NoneType in get_args(verb.model_fields[name].annotation)


@cache
def takes_nothing(verb: Verb, name: str) -> bool:
    """Whether a field of a command may be an empty text."""
    hint = get_type_hints(verb, include_extras=True)[name]
    try:
        TypeAdapter(hint).validate_python("")
    except ValidationError:
        return False
    return True
