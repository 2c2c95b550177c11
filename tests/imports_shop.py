"""A small shop whose files are imported in tests: leads, customers and deals, dirt included."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domain.import_run import ImportRunEnded, ImportRunStarted
from eventstore.writer import Writer
from imports.base import Import
from imports.feed import Feed
from imports.recipe import Recipe, load
from imports.report import Errors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventstore.envelope import RecordedEvent
    from eventstore.workspace import Workspace
    from imports.report import Summary

RECIPE = Path(__file__).with_suffix(".toml")

PRICES = 'product,price\nGTX Pro,"4.821,00"\nMG Special,55\n'
CUSTOMERS = """name,country,revenue,parent
Acme,Germany,"1.100,04",
Branch,de,-,Zeta
Zeta,United States,"2,5",
"""
DEALS_HEADER = "id,agent,product,customer,stage,opened,closed,value,urgent,seats"
DEALS = (
    "D1,Moses,GTXPro,Acme,Won,10.02.2024,01.03.2024,4500,yes,40",
    "D2,Moses,MG Special,Branch,Lost,11.02.2024,02.03.2024,0,no,0",
    "D3,Violet,GTX Pro,,New,,,,Select,",
    "D4,Violet,MG Special,Zeta,Offered,12.02.2024,,,no,3",
)


def shop(folder: Path, deals: Iterable[str] = DEALS, customers: str = CUSTOMERS) -> Path:
    """The shop's files and recipe in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(RECIPE, folder / "shop.toml")
    (folder / "prices.csv").write_text(PRICES, encoding="utf-8")
    (folder / "customers.csv").write_text(customers, encoding="utf-8")
    (folder / "deals.csv").write_text("\n".join((DEALS_HEADER, *deals, "")), encoding="utf-8")
    return folder


def recipe(folder: Path) -> Recipe:
    """The shop's recipe."""
    return load(str(folder / "shop.toml"))


def run(workspace: Workspace, folder: Path) -> tuple[Summary, list[dict[str, str]]]:
    """Import the shop; the summary, and the rows that were not taken."""
    path = folder / "errors.csv"
    with Errors(path) as errors, Writer(workspace.log) as writer:
        summary = Import(Feed(recipe(folder), folder), workspace.log, writer, errors=errors).run()
    if errors.made is None:
        return summary, []
    with path.open(encoding="utf-8", newline="") as file:
        return summary, list(csv.DictReader(file))


def told(event: RecordedEvent) -> tuple[Any, ...]:
    """An event apart from its ids in the log, its position and when it was recorded."""
    return str(event.stream_id), event.version, event.occurred_at, repr(event.event)


def story(workspace: Workspace) -> list[tuple[Any, ...]]:
    """Everything that happened, in an order that does not depend on that of the log."""
    return sorted(
        told(event)
        for event in workspace.log.read()
        if not isinstance(event.event, ImportRunStarted | ImportRunEnded)
    )
