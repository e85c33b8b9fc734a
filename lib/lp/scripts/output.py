"""How subcommands show things to people and to programs."""

__all__ = [
    "json_option",
    "printable",
    "show_duration",
    "show_json",
    "show_json_lines",
    "show_table",
    "show_time",
    "timestamp",
]

import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

NEVER = "-"
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def timestamp(moment: datetime | None) -> str | None:
    """Return a moment for programs: ISO 8601 in UTC with a Z.

    :param moment: The moment; None gives None.
    """
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def show_time(moment: datetime | None) -> str:
    """Return a moment for people: local time with its zone.

    :param moment: The moment; None gives a dash.
    """
    return NEVER if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def show_duration(duration: timedelta) -> str:
    """Return a duration for people.

    :param duration: The duration; what is less than a tenth of a second is not shown.
    """
    seconds = duration.total_seconds()
    if seconds < 60:
        return f"{seconds:.1f} s"
    return str(timedelta(seconds=round(seconds)))


def printable(text: str) -> str:
    """Return text from a stranger without what could steer a terminal.

    :param text: Any text; new lines and tabs are kept.
    """
    return UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def show_json(value: Any) -> None:
    """Print a value as JSON.

    :param value: What `json` can encode.
    """
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def show_json_lines(values: Iterable[Any]) -> None:
    """Print a JSON array of any length, an item a line.

    :param values: What `json` can encode.
    """
    separator = "["
    for value in values:
        click.echo(f"{separator}\n  {json.dumps(value, ensure_ascii=False)}", nl=False)
        separator = ","
    click.echo("[]" if separator == "[" else "\n]")


def show_table(headings: Sequence[str], rows: Iterable[Sequence[str]], empty: str) -> None:
    """Print a table, as wide as the terminal; when piped, as wide as it needs.

    :param headings: The headings of the columns.
    :param rows: The texts of each row.
    :param empty: What to print when there are no rows.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, heading in enumerate(headings):
        # The first column is the name, which can be long; the others are read at a glance.
        table.add_column(heading, no_wrap=number > 0, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    if table.row_count == 0:
        click.echo(empty)
        return
    console = Console()
    if not console.is_terminal:
        wide = console.options.update(max_width=100_000)
        console = Console(width=console.measure(table, options=wide).maximum)
    console.print(table)
