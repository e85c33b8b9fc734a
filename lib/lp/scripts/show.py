"""``codeimport show``: one import, its next run, its results and its last log."""

__all__ = ["show"]

import sys
from typing import Any

import click

from lp.code.enums import CodeImportJobState
from lp.code.interfaces.codeimport import ICodeImport
from lp.code.interfaces.codeimportjob import ICodeImportJob
from lp.code.interfaces.codeimportresult import ICodeImportResult
from lp.codehosting.paths import mirror_path
from lp.scripts.output import (
    json_option,
    printable,
    show_duration,
    show_json,
    show_time,
    timestamp,
)
from lp.scripts.session import find_import, run_in_database

RESULTS = 10
LOG_LINES = 20


@click.command()
@click.argument("target")
@click.option("--log", "whole_log", is_flag=True, help="Print the last run's whole log only.")
@json_option
def show(target: str, whole_log: bool, as_json: bool) -> None:
    """Show the import of TARGET: its next run, its last results, and the end of the last log."""
    if whole_log:
        log = run_in_database(get_log, target)
        # A stranger's bytes could steer a terminal; files and pipes get them as they are.
        is_terminal = sys.stdout.isatty()
        click.echo(printable(log.decode("utf-8", "replace")) if is_terminal else log, nl=False)
    elif as_json:
        show_json(run_in_database(get_facts, target))
    else:
        click.echo("\n".join(run_in_database(get_lines, target)))


def get_log(target: str) -> bytes:
    """Return the last run's log; empty if there is none."""
    result = find_import(target).results.first()
    log: bytes = result.log_file.read() if result and result.log_file else b""
    return log


def get_facts(target: str) -> dict[str, Any]:
    """Return the import as JSON has it."""
    code_import = find_import(target)
    job = code_import.import_job
    return {
        "target": code_import.target.unique_name,
        "mirror": str(mirror_path(code_import.target.unique_name)),
        "source": code_import.getImportDetailsForDisplay(),
        "type": code_import.rcs_type.name,
        "review_status": code_import.review_status.name,
        "registrant": code_import.registrant.name,
        "owner": code_import.owner.name,
        "date_created": timestamp(code_import.date_created),
        "date_last_successful": timestamp(code_import.date_last_successful),
        "consecutive_failures": code_import.consecutive_failure_count,
        "job": job and get_job_facts(job),
        "results": [get_result_facts(result) for result in code_import.results[:RESULTS]],
    }


def get_job_facts(job: ICodeImportJob) -> dict[str, Any]:
    """Return a job as JSON has it."""
    return {
        "id": job.id,
        "state": job.state.name,
        "date_due": timestamp(job.date_due),
        "requesting_user": job.requesting_user and job.requesting_user.name,
        "machine": job.machine and job.machine.hostname,
        "date_started": timestamp(job.date_started),
        "heartbeat": timestamp(job.heartbeat),
        "logtail": job.logtail,
    }


def get_result_facts(result: ICodeImportResult) -> dict[str, Any]:
    """Return a result as JSON has it."""
    return {
        "status": result.status.name,
        "machine": result.machine.hostname,
        "requesting_user": result.requesting_user and result.requesting_user.name,
        "date_started": timestamp(result.date_job_started),
        "date_finished": timestamp(result.date_job_finished),
        "log_size": result.log_file.size if result.log_file else 0,
    }


def get_lines(target: str) -> list[str]:
    """Return the import for people."""
    code_import = find_import(target)
    lines = [
        f"Target:       {code_import.target.unique_name}",
        f"Mirror:       {mirror_path(code_import.target.unique_name)}",
        f"Source:       {code_import.getImportDetailsForDisplay()} ({code_import.rcs_type.name})",
        f"Status:       {code_import.review_status.name}",
        f"Registered:   {show_time(code_import.date_created)} by {code_import.registrant.name}",
        f"Last success: {show_time(code_import.date_last_successful)}",
        f"Next run:     {describe_next_run(code_import)}",
    ]
    results = list(code_import.results[:RESULTS])
    if not results:
        return [*lines, "", "It has not been run yet."]
    lines += ["", "Results, the newest first:"]
    lines += [f"  {describe_result(result)}" for result in results]
    return lines + get_log_lines(results[0])


def describe_next_run(code_import: ICodeImport) -> str:
    """Say when an import is run next, or that it is running."""
    job = code_import.import_job
    if job is None:
        return f"none, as it is {code_import.review_status.name}"
    requested = f", requested by {job.requesting_user.name}" if job.requesting_user else ""
    if job.state == CodeImportJobState.RUNNING:
        started = show_time(job.date_started)
        return f"running as job {job.id} on {job.machine.hostname} since {started}{requested}"
    due = "due now" if job.isOverdue() else show_time(job.date_due)
    return f"{due}{requested}"


def describe_result(result: ICodeImportResult) -> str:
    """Return a result as a line."""
    return (
        f"{show_time(result.date_job_finished)}  {result.status.name}"
        f"  on {result.machine.hostname}, took {show_duration(result.job_duration)}"
    )


def get_log_lines(result: ICodeImportResult) -> list[str]:
    """Return the end of a result's log."""
    if result.log_file is None:
        return []
    log = printable(result.log_file.read().decode("utf-8", "replace")).splitlines()
    left_out = len(log) - LOG_LINES
    heading = "Log of the last run:"
    if left_out > 0:
        heading = f"Log of the last run ({left_out} lines more with --log):"
    return ["", heading, *(f"  {line}" for line in log[-LOG_LINES:])]
