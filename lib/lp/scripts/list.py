"""``codeimport list``: all imports."""

__all__ = ["list"]

from typing import Any

import click
from zope.component import getUtility

from lp.code.enums import CodeImportJobState
from lp.code.interfaces.codeimport import CodeImportSummary, ICodeImportSet
from lp.scripts.output import (
    NEVER,
    json_option,
    show_json_lines,
    show_table,
    show_time,
    timestamp,
)
from lp.scripts.session import run_in_database

HEADINGS = ("Target", "Type", "Status", "Last result", "Last run ended", "Next run")


@click.command(name="list")
@json_option
def list(as_json: bool) -> None:  # noqa: A001 - the subcommand's name
    """List all imports, by target."""
    run_in_database(show_as_json if as_json else show_as_table)


def show_as_json() -> None:
    """Print a JSON array."""
    show_json_lines(map(make_object, getUtility(ICodeImportSet).summarize()))


def make_object(summary: CodeImportSummary) -> dict[str, Any]:
    """Return an import as JSON has it."""
    return {
        "target": summary.target,
        "source": summary.source,
        "type": summary.rcs_type.name,
        "review_status": summary.review_status.name,
        "job_state": summary.job_state and summary.job_state.name,
        "date_due": timestamp(summary.date_due),
        "last_result": summary.last_status and summary.last_status.name,
        "date_last_finished": timestamp(summary.date_last_finished),
    }


def show_as_table() -> None:
    """Print a table."""
    rows = map(make_row, getUtility(ICodeImportSet).summarize())
    show_table(HEADINGS, rows, "There are no imports yet; add one with: codeimport add URL")


def make_row(summary: CodeImportSummary) -> tuple[str, ...]:
    """Return an import's cells."""
    if summary.job_state == CodeImportJobState.RUNNING:
        next_run = "running"
    else:
        next_run = show_time(summary.date_due)
    return (
        summary.target,
        summary.rcs_type.name,
        summary.review_status.name,
        summary.last_status.name if summary.last_status else NEVER,
        show_time(summary.date_last_finished),
        next_run,
    )
