"""The questions of an auditor that need no words of their own: a verb for each."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

import typer
from rich.markup import escape
from rich.table import Table

from cli import show
from cli.options import (
    DEFAULT_DATA,
    DEFAULT_ZONE,
    AsJson,
    Data,
    DatabaseUrl,
    Zone,
    examples,
)
from cli.session import session
from replay.history import Happening
from replay.inquiries import INQUIRIES, LIMIT_MAX, Asking, Given

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from rich.console import RenderableType

    from replay.inquiries import Inquiry

app = typer.Typer()

TOLD_ELSEWHERE = {"history", "diff", "why"}
"""They have words of their own; see `past`."""


def verb(inquiry: Inquiry) -> Callable[..., None]:
    """A verb for a question, with the arguments it declares."""

    def ask(
        data: Data = DEFAULT_DATA,
        database_url: DatabaseUrl = None,
        zone: Zone = DEFAULT_ZONE,
        json: AsJson = False,
        **given: Any,
    ) -> None:
        with session(data, database_url, inquiry.name, show.say) as opened:
            answer = inquiry.ask(Asking(opened.workspace.log, zone), **given)
        if json:
            show.as_json(answer)
            return
        for part in shown(answer):
            show.console().print(part)

    common = list(inspect.signature(ask, eval_str=True).parameters.values())[:-1]
    ask.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*arguments(inquiry), *common)]
    )
    ask.__annotations__ = {p.name: p.annotation for p in (*arguments(inquiry), *common)}
    ask.__doc__ = inquiry.ask.__doc__
    return ask


def arguments(inquiry: Inquiry) -> Iterator[inspect.Parameter]:
    """What the verb takes, as typer wants it."""
    hints = get_type_hints(inquiry.ask, include_extras=True)
    for name, declared in list(inspect.signature(inquiry.ask).parameters.items())[1:]:
        kind, given = get_args(hints[name])
        yield inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=Annotated[kind, _taken(given, kind)],
            default=declared.default,
        )


def _taken(given: Given, kind: Any) -> Any:
    if not given.option:
        return typer.Argument(metavar=given.metavar, help=given.help)
    more: dict[str, Any] = {"min": 1, "max": LIMIT_MAX} if kind is int else {}
    return typer.Option(given.option, metavar=given.metavar, help=given.help, **more)


def shown(answer: Any) -> Iterator[RenderableType]:
    """An answer for people: what is plain in one table, then one for each list."""
    parts = {one.name: getattr(answer, one.name) for one in fields(answer)}
    lists = {name: of for name, of in parts.items() if isinstance(of, tuple) and name != "about"}
    plain = {_words(name): show.value(of) for name, of in parts.items() if name not in lists}
    yield show.pairs(plain, type(answer).__name__)
    for name, items in lists.items():
        if items and isinstance(items[0], Happening):
            yield show.happenings(items, _words(name).capitalize(), show.Names({}))
        elif items:
            yield _table(_words(name).capitalize(), items)


def _table(title: str, items: Sequence[Any]) -> Table:
    names = [one.name for one in fields(items[0])]
    table = Table(title=title, title_justify="left", header_style="bold")
    for name in names:
        table.add_column(_words(name))
    for item in items:
        table.add_row(*(escape(_cell(getattr(item, name))) for name in names))
    return table


def _cell(of: Any) -> str:
    if isinstance(of, Happening):
        return f"{show.kind(of.type)} (position {of.position})"
    if isinstance(of, tuple):
        return ", ".join(map(show.value, of))
    return show.value(of)


def _words(name: str) -> str:
    return name.replace("_", " ")


for inquiry in INQUIRIES:
    if inquiry.name not in TOLD_ELSEWHERE:
        app.command(inquiry.name, epilog=examples(*inquiry.examples))(verb(inquiry))
