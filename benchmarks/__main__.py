"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog
from rich.console import Console

from benchmarks.base import Options, machine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.base import Report

NAMES = ("write", "length", "import", "rebuild", "live", "read", "audit")
MODULES = {"import": "import_rows"}
"""Where a benchmark is that cannot be called like its module."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is named, or everything; 1 if something that must hold does not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    usual = Options()
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; or all")
    parser.add_argument("--json", action="store_true", help="one JSON object for each benchmark")
    parser.add_argument("--seconds", type=float, default=usual.seconds, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=usual.rounds, help="of alternating runs")
    parser.add_argument("--events", type=int, help="in the log that is measured on")
    parser.add_argument("--install-peers", action="store_true", help="fetch peers from npm")
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - set(NAMES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    options = Options(given.seconds, given.rounds, given.events, given.install_peers)
    held = True
    with warnings_only():
        for name in given.names or NAMES:
            report = run(name, options)
            held &= report.holds
            if given.json:
                print(json.dumps(report.as_json()), flush=True)
            else:
                report.show(Console())
    return 0 if held else 1


@contextmanager
def warnings_only() -> Iterator[None]:
    """Log lines of this process that say less than a warning are left out meanwhile."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        yield
    finally:
        structlog.configure(**before)


def run(name: str, options: Options) -> Report:
    """One benchmark, with its progress told on standard error."""
    found = machine()
    with Console(stderr=True).status(f"{name} …") as status:
        report: Report = importlib.import_module(f"benchmarks.{MODULES.get(name, name)}").run(
            options, lambda step: status.update(f"{name}: {step} …")
        )
    report.machine = found
    return report


if __name__ == "__main__":
    sys.exit(main())
