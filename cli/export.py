"""`export`: what Backstory holds, in files of other tools."""

from __future__ import annotations

import typer

from cli import export_records, export_tables

app = typer.Typer(help="Hand out what is held here, in files of other tools.", no_args_is_help=True)

app.add_typer(export_tables.app)
app.add_typer(export_records.app)
