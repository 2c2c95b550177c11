"""`backstory notebook`: a prepared Jupyter notebook with pictures of any moment.

The notebook is kept as plain Python, in `cli/prepared.py`; a `.py` file is handed out as such.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import show
from cli.options import DEFAULT_DATA, AsOf, Data, KnownAt, examples, one_of
from cli.tables import Refused
from replay.snapshot import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Mapping

app = typer.Typer()

PREPARED = Path(__file__).with_name("prepared.py")
INSTALL = "notebooks need the extra `notebook`: pip install 'backstory[notebook]'"
CELL_SECONDS_MAX = 600


@app.command(
    epilog=examples(
        "backstory notebook",
        "backstory notebook --as-of 2025-12-31 -o then.ipynb",
        "backstory notebook --snapshot data/snapshots/2026-06-30T180000Z",
        "backstory notebook --run --as-of 2026-06-30 --since 2026-03-31 -o june.ipynb",
    )
)
def notebook(
    *,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            callback=one_of(".ipynb", ".py"),
            help="Where it is put, as a notebook or as Python in cells.",
        ),
    ] = Path("backstory.ipynb"),
    snapshot: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", exists=True, file_okay=False, help="Look at this export, not at --data."
        ),
    ] = None,
    run: Annotated[
        bool, typer.Option("--run", help="Run it and keep the pictures, instead of opening it.")
    ] = False,
    since: Annotated[
        str | None, typer.Option("--since", metavar="T", help="Where the waterfall begins.")
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    data: Data = DEFAULT_DATA,
) -> None:
    """Open a prepared Jupyter notebook: funnel, waterfall, cohorts and scores at any moment."""
    missing = [name for name in ("jupytext", "nbclient") if not find_spec(name)]
    if missing or not (run or find_spec("jupyterlab")):
        raise Refused(INSTALL)
    if snapshot and not (snapshot / MANIFEST).exists():
        raise Refused(f"{snapshot} is no snapshot: `backstory export tables` makes one")
    asked = {"PLACE": str((snapshot or data).absolute())}
    moments = {"AS_OF": as_of, "KNOWN_AT": known_at, "SINCE": since}
    _prepare(output, asked | {name: said for name, said in moments.items() if said}, new=run)
    if run:
        _run(output)
        show.say(f"{output}: run, pictures included")
        return
    raise typer.Exit(subprocess.call([sys.executable, "-m", "jupyterlab", str(output)]))  # noqa: S603


def _prepare(output: Path, asked: Mapping[str, str], *, new: bool) -> None:
    """Write the notebook, with what was asked in its first cell of code; one there is kept."""
    if output.exists() and not new:
        show.say(f"{output} is there already, and is opened as it is")
        return
    import jupytext

    prepared = jupytext.read(PREPARED, fmt="py:percent")
    [cell] = [each for each in prepared.cells if "parameters" in each.metadata.get("tags", ())]
    cell.source = "\n".join(_told(line, asked) for line in cell.source.splitlines())
    prepared.metadata["kernelspec"] = {
        "name": "python3", "display_name": "Python 3", "language": "python"
    }  # fmt: skip
    _write(prepared, output)


def _told(line: str, asked: Mapping[str, str]) -> str:
    """A line of the cell, with what was asked in the place of what stands there."""
    name = line.partition("=")[0]
    said = asked.get(name.partition(":")[0].strip())
    return line if said is None else f"{name}= {said!r}"


def _run(output: Path) -> None:
    """Run all cells in a kernel of their own, and keep what they show."""
    import jupytext
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    prepared = jupytext.read(output)
    where: dict[str, Any] = {"metadata": {"path": str(output.parent.absolute())}}
    kernel = AsyncKernelManager(kernel_name="python3", transport="ipc")  # no port for others
    client = NotebookClient(prepared, kernel, timeout=CELL_SECONDS_MAX, resources=where)
    try:
        client.execute(cleanup_kc=True)
    except CellExecutionError as error:
        raise Refused(f"{output} broke off: {error.ename}: {error.evalue}") from None
    _write(prepared, output)


def _write(prepared: Any, output: Path) -> None:
    """Write a notebook whole or not at all."""
    import jupytext

    draft = output.with_name(f".{output.name}")
    try:
        how = "py:percent" if output.suffix.lower() == ".py" else "ipynb"
        draft.write_text(jupytext.writes(prepared, fmt=how))
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)
