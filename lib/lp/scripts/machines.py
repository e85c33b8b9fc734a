"""``codeimport machines``: all machines."""

__all__ = ["machines"]

from typing import Any

import click
from zope.component import getUtility

from lp.code.interfaces.codeimportmachine import ICodeImportMachine, ICodeImportMachineSet
from lp.scripts.output import json_option, show_json, show_table, show_time, timestamp
from lp.scripts.session import run_in_database

HEADINGS = ("Machine", "State", "Jobs", "Last asked for work")


@click.command()
@json_option
def machines(as_json: bool) -> None:
    """List all machines, by hostname."""
    found = run_in_database(get_machines)
    if as_json:
        show_json([{**facts, "heartbeat": timestamp(facts["heartbeat"])} for facts in found])
    else:
        show_table(HEADINGS, map(make_row, found), "No machine has asked for work yet.")


def get_machines() -> list[dict[str, Any]]:
    """Return what there is to say of each machine."""
    return [get_facts(machine) for machine in getUtility(ICodeImportMachineSet).getAll()]


def get_facts(machine: ICodeImportMachine) -> dict[str, Any]:
    """Return what there is to say of a machine."""
    return {
        "hostname": machine.hostname,
        "state": machine.state.name,
        "running": machine.running,
        "worker_limit": machine.worker_limit,
        "heartbeat": machine.heartbeat,
    }


def make_row(facts: dict[str, Any]) -> tuple[str, ...]:
    """Return a machine's cells."""
    limit = facts["worker_limit"]
    jobs = str(facts["running"]) if limit is None else f"{facts['running']} of {limit}"
    return facts["hostname"], facts["state"], jobs, show_time(facts["heartbeat"])
