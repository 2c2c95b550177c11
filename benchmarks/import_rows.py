"""How fast rows of a file become events, and how much memory that takes.

python -m benchmarks.import_rows DIRECTORY URL RECIPE FILE      one import, and its figures

Each import is a process of its own, as `backstory import` is, on a PostgreSQL with the settings
that `serve` has. With `--events 1000000` the file is long enough to tell whether memory stays flat.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks import people
from benchmarks.base import Must, Options, Report
from benchmarks.contest import ROOT, Ground
from eventstore.collector import collect_seldom
from eventstore.workspace import Workspace
from eventstore.writer import Writer
from imports.base import Import
from imports.feed import Feed
from imports.recipe import load
from imports.report import Candidates, Errors, Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.contest import Sample

ROWS = 30_000
ROWS_BETWEEN_LOOKS = 5_000
FLAT_ROWS_MIN = 400_000
"""Before a quarter of so many rows the caches are not full, and memory grows as it should."""

EXACT, SIMILAR, AGAIN = "a new file", "looking for similar ones too", "the same file again"
ROWS_PER_SECOND = {EXACT: 5_000, SIMILAR: 2_000}
RECIPE = Path(__file__).with_name("people.toml")
LOOKING = 'key = "id"\nsimilar = {}  # all as it is by default\n'


def run(options: Options, say: Callable[[str], None]) -> Report:
    """One file into empty workspaces: as it is, and with candidates; then once more."""
    report, samples = Report("import"), dict[str, "Sample"]()
    with Ground.prepared(options) as ground:
        rows = options.events or ROWS
        file, looking = ground.folder() / "people.csv", ground.folder() / "people.toml"
        kinds = people.write(file, rows)
        plain = RECIPE.read_text(encoding="utf-8")
        looking.write_text(plain.replace('key = "id"\n', LOOKING), encoding="utf-8")
        place = ground.folder(), ground.database()
        for name, recipe, (folder, url) in (
            (EXACT, RECIPE, place),
            (AGAIN, RECIPE, place),
            (SIMILAR, looking, (ground.folder(), ground.database())),
        ):
            say(f"{name}, {rows:,} rows")
            samples[name] = _imported(folder, url, recipe, file)
    report.figures = {
        name: {unit: sample[unit] for unit in ("rows_per_second", "cpu_us_per_row", "peak_mb")}
        for name, sample in samples.items()
    }
    report.notes = [", ".join(f"{number:,} {kind}" for kind, number in kinds.most_common())]
    report.notes += [_found(name, sample) for name, sample in samples.items()]
    report.must = _musts(samples, rows)
    return report


def _musts(samples: dict[str, Sample], rows: int) -> list[Must]:
    musts = [
        Must(f"rows/s, {name}", samples[name]["rows_per_second"], at_least=least)
        for name, least in ROWS_PER_SECOND.items()
    ]
    musts.append(Must("peak memory, MB", max(s["peak_mb"] for s in samples.values()), at_most=500))
    if rows >= FLAT_ROWS_MIN:
        musts += [
            Must(f"memory at most / after a quarter, {name}", samples[name]["grown"], at_most=1.2)
            for name in ROWS_PER_SECOND
        ]
    return musts


def _found(name: str, sample: Sample) -> str:
    counts = ("imported", "unchanged", "failed", "similar")
    return f"{name}: " + ", ".join(f"{sample[count]:,.0f} {count}" for count in counts)


def _imported(folder: Path, url: str, recipe: Path, file: Path) -> Sample:
    command = [sys.executable, "-m", "benchmarks.import_rows"]
    done = subprocess.run(
        [*command, str(folder), url, str(recipe), str(file)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        check=True,
    )
    sample: Sample = json.loads(done.stdout)
    return sample


class Memory(Progress):
    """How much of it there was now and then, of the process and of the one that reads for it.

    What both share, such as the code of libraries, counts once: half in each (PSS).
    """

    def __init__(self) -> None:
        self.megabytes: list[float] = []
        self._rows = 0

    def done(self, rows: int) -> None:
        """Look."""
        self._rows += rows
        if self._rows > ROWS_BETWEEN_LOOKS * len(self.megabytes):
            process = psutil.Process()
            found = [one.memory_full_info() for one in (process, *process.children())]
            self.megabytes.append(sum(getattr(one, "pss", one.rss) for one in found) / 2**20)


def main() -> None:
    """See above."""
    collect_seldom()
    folder, url, recipe, file = sys.argv[1:]
    memory, directory = Memory(), Path(folder)
    with (
        Feed(load(recipe), Path(file)) as feed,
        Workspace.open(directory, url) as workspace,
        Errors(directory / "errors.csv") as errors,
        Candidates(directory / "candidates.csv") as candidates,
        Writer(workspace.log, gather_seconds=0) as writer,
    ):
        work = Import(
            *(feed, workspace.log, writer),
            errors=errors,
            candidates=candidates,
            progress=memory,
        )
        summary = work.run()
    total = summary.total
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    figures = {
        "rows_per_second": summary.rows_per_second,
        "cpu_us_per_row": sum(u.ru_utime + u.ru_stime for u in used) * 1e6 / total.rows,
        "peak_mb": max(memory.megabytes),
        "grown": max(memory.megabytes) / memory.megabytes[len(memory.megabytes) // 4],
        "imported": total.imported,
        "unchanged": total.unchanged,
        "failed": total.failed,
        "similar": total.similar,
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
