"""The report in an evidence bundle: who did what, when, and why, as a page and as a document."""

from __future__ import annotations

import html
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from replay.history import Happening

DOCUMENT = Path(__file__).with_name("report.typ")
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; color: #222 }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ text-align: left; vertical-align: top; padding: .35rem .6rem }}
td {{ border-top: 1px solid #ddd }}
th {{ background: #f4f4f4 }} td.number {{ text-align: right }} pre {{ white-space: pre-wrap }}
</style></head><body><h1>{title}</h1>
<p>{events} events, under the checkpoint below. <code>python verify.py FILE.zip</code> proves that
they are what was sealed. Times are UTC.</p>
<table><thead><tr><th>position<th>happened<th>recorded<th>who<th>what<th>it says<th>why</tr></thead>
<tbody>
{rows}
</tbody></table><pre>{checkpoint}</pre></body></html>
"""


class Line(NamedTuple):
    """One event as the report tells it."""

    position: str
    happened: str
    recorded: str
    who: str
    what: str
    says: str
    why: str


@dataclass(frozen=True, slots=True)
class Report:
    """What happened, and the checkpoint it stands under."""

    title: str
    lines: Sequence[Line]
    checkpoint: str

    def html(self) -> str:
        """A page that needs no network."""
        rows = []
        for line in self.lines:
            cells = "".join(f"<td>{html.escape(cell)}" for cell in line[1:])
            rows.append(f'<tr><td class="number">{line.position}{cells}</tr>')
        return PAGE.format(
            title=html.escape(self.title),
            events=len(self.lines),
            rows="\n".join(rows),
            checkpoint=html.escape(self.checkpoint),
        )

    def pdf(self) -> bytes:
        """A document to print; see `has_pdf`."""
        import typst  # noqa: PLC0415 - an extra, and slow to load

        said = {"title": self.title, "lines": self.lines, "checkpoint": self.checkpoint}
        inputs = {"report": orjson.dumps(said, default=list).decode()}
        found: bytes = typst.compile(DOCUMENT.read_bytes(), format="pdf", sys_inputs=inputs)
        return found


def has_pdf() -> bool:
    """Whether the extra `report`, which draws documents, is installed."""
    return importlib.util.find_spec("typst") is not None


def lines(story: Iterable[Happening]) -> list[Line]:
    """Events as the report tells them, each with the one that caused it."""
    happened = list(story)
    by_id = {one.event_id: one for one in happened}
    found = []
    for one in happened:
        cause = by_id.get(one.causation_id) if one.causation_id else None
        said = "; ".join(f"{name} {of}" for name, of in one.fields.items() if of not in (None, ""))
        found.append(
            Line(
                str(one.position),
                f"{one.occurred_at:%Y-%m-%d %H:%M:%S}",
                f"{one.recorded_at:%Y-%m-%d %H:%M:%S}",
                one.actor_name or str(one.actor),
                _words(one.type),
                said,
                f"{_words(cause.type)} at position {cause.position}" if cause else "asked for",
            )
        )
    return found


def _words(type_: str) -> str:
    return type_.rsplit(".", 1)[0].replace(".", " ").replace("_", " ")
