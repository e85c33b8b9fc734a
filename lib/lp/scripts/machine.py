"""``codeimport machine``: let a machine work, or stop it."""

__all__ = ["machine"]

import click
from zope.component import getUtility

from lp.code.enums import CodeImportMachineOfflineReason, CodeImportMachineState
from lp.code.errors import NoSuchMachine
from lp.code.interfaces.codeimportmachine import ICodeImportMachineSet
from lp.scripts.session import acting_person, run_in_database


@click.command()
@click.argument("name")
@click.argument("action", type=click.Choice(["online", "offline", "quiesce"]))
@click.option("--message", metavar="TEXT", help="Say why; it is kept with the event.")
def machine(name: str, action: str, message: str | None) -> None:
    """Change whether the machine NAME gets work.

    \b
    online   It gets work; a machine that is not known yet is registered.
    offline  It gets no work; jobs that it runs may still finish.
    quiesce  It finishes its jobs, gets no new ones, and then is offline.
    """
    state = run_in_database(change_state, name, action, message)
    click.echo(f"{name} is {state} now.")


def change_state(hostname: str, action: str, message: str | None) -> str:
    """Change a machine's state, and return the name of the new one."""
    machines, person = getUtility(ICodeImportMachineSet), acting_person()
    found = machines.getByHostname(hostname)
    if found is None:
        if action != "online":
            raise NoSuchMachine(hostname)
        found = machines.ensure(hostname, CodeImportMachineState.OFFLINE)
    if action == "online":
        found.setOnline(person, message)
    elif action == "offline":
        found.setOffline(CodeImportMachineOfflineReason.STOPPED, person, message)
    else:
        found.setQuiescing(person, message)
    name: str = found.state.name
    return name
