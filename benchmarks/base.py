"""What a benchmark reports: figures, and what must hold of them."""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Options:
    """How long to measure, how often, and on how much."""

    seconds: float = 5.0
    rounds: int = 3
    events: int | None = None
    """In the log that is measured on; each benchmark has its own number."""
    install_peers: bool = False


@dataclass(frozen=True, slots=True)
class Must:
    """A bound that a figure has to keep."""

    name: str
    value: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def holds(self) -> bool:
        """Whether it does."""
        return (self.at_least is None or self.value >= self.at_least) and (
            self.at_most is None or self.value <= self.at_most
        )

    def as_json(self) -> dict[str, Any]:
        """The bound that is set, and how the figure stands to it."""
        bounds = {"at_least": self.at_least, "at_most": self.at_most}
        set_ = {name: bound for name, bound in bounds.items() if bound is not None}
        return {"name": self.name, "value": round(self.value, 3), **set_, "holds": self.holds}


@dataclass(slots=True)
class Report:
    """The outcome of one benchmark. The names of figures end in their units."""

    name: str
    figures: dict[str, dict[str, float]] = field(default_factory=dict)
    must: list[Must] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether all holds that must."""
        return all(must.holds for must in self.must)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "benchmark": self.name,
            "machine": self.machine,
            "figures": {
                name: {unit: round(value, 3) for unit, value in row.items()}
                for name, row in self.figures.items()
            },
            "must": [must.as_json() for must in self.must],
            "notes": self.notes,
        }

    def show(self, console: Console) -> None:
        """For people."""
        units = list(dict.fromkeys(unit for row in self.figures.values() for unit in row))
        figures = Table(title=self.name, title_justify="left")
        figures.add_column("")
        for unit in units:
            figures.add_column(unit.replace("_", " "), justify="right")
        for name, row in self.figures.items():
            figures.add_row(name, *(readable(row.get(unit)) for unit in units))
        bounds = Table(title="must", title_justify="left")
        for heading in ("", "is", "bound", "holds"):
            bounds.add_column(heading)
        for must in self.must:
            bound = f"≥ {must.at_least:g}" if must.at_most is None else f"≤ {must.at_most:g}"
            holds = "[green]yes[/]" if must.holds else "[bold red]NO[/]"
            bounds.add_row(must.name, readable(must.value), bound, holds)
        console.print(figures, bounds, *self.notes, sep="\n")
        console.print(", ".join(f"{key} {value}" for key, value in self.machine.items()))


def readable(value: float | None) -> str:
    """A figure with as many digits as mean something."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of all values does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Median of the ratios of runs that alternated: what disturbed a round disturbed both."""
    return statistics.median(
        our / their if their else 0.0 for our, their in zip(ours, theirs, strict=True)
    )


def machine() -> dict[str, Any]:
    """What the figures were measured on, and how busy it was before."""
    return {
        "cpu": processor(),
        "cores": len(psutil.Process().cpu_affinity()),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "fdatasync_us": round(sync_microseconds()),
        "load_before": round(os.getloadavg()[0], 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def processor() -> str:
    """The model of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return platform.processor()
    models = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())


def sync_microseconds() -> float:
    """How long the disk takes to make one small write durable: the floor under every commit."""
    waits = []
    with tempfile.TemporaryFile() as file:
        for _ in range(50):
            os.pwrite(file.fileno(), os.urandom(8192), 0)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            waits.append(time.perf_counter() - began)
    return statistics.median(waits) * 1_000_000
