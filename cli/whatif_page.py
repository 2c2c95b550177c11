"""What would be other, as a page that needs no network: the rules, pictures, and every figure."""

from __future__ import annotations

import html
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from cli import show
from cli.chart import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replay.contrast import Contrast, Differing
    from replay.movers import Moved, Mover, Reason
    from replay.redecision import Otherwise
    from replay.whatif import Sides, WhatIf

Names = Mapping[UUID, str | None]
DECISION = ("position", "happened", "by", "what", "record", "because", "what came of it")
AS_IT_IS, OTHERWISE = "as it is", "by these rules"
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; color: #222 }}
table {{ border-collapse: collapse; margin-bottom: 2rem }}
th, td {{ text-align: left; vertical-align: top; padding: .35rem .6rem }}
td {{ border-top: 1px solid #ddd }} th {{ background: #f4f4f4 }}
.number {{ text-align: right; white-space: nowrap }}
pre {{ background: #f4f4f4; padding: .8rem }} del {{ color: #777 }} ins {{ font-weight: bold }}
ins, del {{ text-decoration: none }} svg {{ max-width: 100%; height: auto }}
</style></head><body><h1>What if: {title}</h1>
<p>{told}</p><pre>{rules}</pre>
{pictures}
{reports}
<h2>What nobody knows</h2><ul>{not_known}</ul>
</body></html>
"""


def page(found: WhatIf, rules: str, drawn: Sequence[str], names: Names) -> str:
    """The page; `rules` as they were written, `drawn` as SVG, `names` of users."""
    reports = [_report(each) for each in found.reports if each.differing]
    if found.decisions:
        reports.append(_decisions(found.decisions, names))
    reports += [_movers(each) for each in found.scores if each.movers]
    if same := ", ".join(each.report for each in found.reports if not each.differing):
        reports.append(f"<p>The same as it is: {same}.</p>")
    return PAGE.format(
        title=html.escape(found.title),
        told=html.escape(found.told()),
        rules=html.escape(rules.strip()),
        pictures="\n".join(drawn),
        reports="\n".join(reports),
        not_known="".join(f"<li>{html.escape(said)}" for said in found.not_known),
    )


def pictures(found: WhatIf, sides: Sides) -> list[str]:
    """Both sides in one picture, as SVG; none without the extra `charts`, or nothing to draw."""
    try:
        from cli.pictures import BESIDE, drawn
    except ImportError:
        show.say("The page is without pictures: these need the extra `charts`.")
        return []
    done = []
    compared = {each.report for each in found.reports}
    for picture in (picture for name, picture in BESIDE.items() if name in compared):
        rows: list[dict[str, Any]] = []
        for side, tables in ((AS_IT_IS, sides.base), (OTHERWISE, sides.other)):
            told = plain(tables.database.query(picture.sql))
            rows += [row | {"side": side} for row in told]
        if rows:
            file = io.StringIO()
            drawn(picture, rows, [picture.about]).save(file, format="svg")
            done.append(file.getvalue())
    return done


def _report(of: Contrast) -> str:
    keys, measures = columns(of)
    heads = [f"<th>{_words(name)}" for name in keys]
    heads += [f'<th class="number">{_words(name)}' for name in measures]
    rows = (
        "".join(
            [
                *(f"<td>{html.escape(show.value(row.key[name]))}" for name in keys),
                *(f'<td class="number">{_figure(row, name)}' for name in measures),
            ]
        )
        for row in of.differing
    )
    same = alike(of)
    differ = f"{len(of.differing):,} of {of.rows:,} rows differ{same and ', '}{same}."
    return (
        f"<h2>{_words(of.report)}</h2><p>{html.escape(differ)} {html.escape(of.description)}</p>"
        f"<table><thead><tr>{''.join(heads)}"
        f"</tr></thead><tbody>{''.join(f'<tr>{row}</tr>' for row in rows)}</tbody></table>"
    )


def _movers(of: Moved) -> str:
    rows = "".join(
        f"<tr><td>{mover.subject_id}"
        f'<td class="number"><del>{mover.was:.3f}</del> <ins>{mover.would_be:.3f}</ins>'
        f"<td>{html.escape(because(mover))}</tr>"
        for mover in of.movers
    )
    return (
        f"<h2>Scores of {_words(of.learner)}</h2><p>{of.moved:,} of {of.scores:,} last scores "
        f"move, by {of.mean_moved:.3f} on average. Those that move most, and what each input gives "
        f"to them in log-odds:</p><table><thead><tr><th>{_words(of.subject_type)}"
        f'<th class="number">score<th>because of</tr></thead><tbody>{rows}</tbody></table>'
    )


def _decisions(found: Sequence[Otherwise], names: Names) -> str:
    heads = "".join(f"<th>{name}" for name in DECISION)
    told = (decision(one, names) for one in found)
    rows = "".join(f"<tr>{''.join(f'<td>{html.escape(c)}' for c in cells)}</tr>" for cells in told)
    return (
        f"<h2>{len(found):,} decisions would have been refused</h2>"
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    )


def decision(of: Otherwise, names: Names) -> list[str]:
    """A decision that would have been another one, cell by cell."""
    became = [of.became or "not there any more"]
    if of.deal_status:
        became.append(f"deal {of.deal_status}, {show.value(of.amount)} {of.currency}")
    return [
        str(of.position),
        show.time(of.occurred_at),
        names.get(of.actor) or str(of.actor),
        show.kind(of.type),
        of.record,
        of.refusal,
        ", ".join(became),
    ]


def _figure(row: Differing, name: str) -> str:
    was, would_be = sides(row, name)
    if was == would_be:
        return html.escape(was)
    return f"<del>{html.escape(was)}</del> <ins>{html.escape(would_be)}</ins>"


def columns(of: Contrast) -> tuple[list[str], list[str]]:
    """The columns that tell the rows apart that differ, and those in which any does."""
    first = of.differing[0]
    measures = list(first.was or first.would_be or {})
    return [name for name in first.key if name not in _alike(of)], [
        name for name in measures if any(_other(row, name) for row in of.differing)
    ]


def alike(of: Contrast) -> str:
    """What is the same in all rows that differ, in words."""
    return ", ".join(f"{name.replace('_', ' ')} {said}" for name, said in _alike(of).items())


def _alike(of: Contrast) -> dict[str, str]:
    first = of.differing[0].key
    if len(of.differing) == 1:
        return {}
    return {
        name: show.value(value)
        for name, value in first.items()
        if all(row.key[name] == value for row in of.differing)
    }


def cell(row: Differing, name: str) -> str:
    """A figure as it is and as it would be."""
    was, would_be = sides(row, name)
    return was if was == would_be else f"{was} → {would_be}"


def because(mover: Mover) -> str:
    """Why a score moves: what inputs give to it in log-odds, as it is and as it would be."""
    return "; ".join(map(_gives, mover.because)) or "this model cannot say why"


def _gives(reason: Reason) -> str:
    was, would_be = (
        "not told" if gave is None else f"{gave:+.2f}" for gave in (reason.was, reason.would_be)
    )
    says = "" if reason.says is None else f" {show.value(reason.says)}"
    return f"{reason.input}{says}: {was} → {would_be}"


def sides(row: Differing, name: str) -> tuple[str, str]:
    """A figure on both sides, in words."""
    was, would_be = (show.value(of[name]) if of else "no row" for of in (row.was, row.would_be))
    return was, would_be


def _other(row: Differing, name: str) -> bool:
    both: list[Mapping[str, Any]] = [of or {} for of in (row.was, row.would_be)]
    return bool(both[0].get(name) != both[1].get(name))


def _words(name: str) -> str:
    return html.escape(name.replace("_", " "))
