"""Machines that run code imports."""

__all__ = ["ICodeImportMachine", "ICodeImportMachineSet"]

from collections.abc import Iterable
from typing import Any

from zope.interface import Attribute, Interface
from zope.schema import Choice, Datetime, Int, TextLine

from lp.code.enums import CodeImportMachineState


class ICodeImportMachine(Interface):
    """A machine that asks for jobs, known by its hostname.

    Its state changes by the three methods below only; each writes an event.
    """

    id = Int(title="ID", description="The number in the database.", readonly=True)
    hostname = TextLine(
        title="Hostname", description="The unique name that it calls with.", readonly=True
    )
    state = Choice(
        title="State",
        description="Whether it gets work.",
        values=tuple(CodeImportMachineState.items),
        readonly=True,
    )
    date_created = Datetime(
        title="Date created", description="When it was registered.", readonly=True
    )
    heartbeat = Datetime(
        title="Heartbeat",
        description="When it last asked for work; None if it never did.",
        required=False,
        readonly=True,
    )
    running = Int(
        title="Running jobs", description="How many jobs it runs at the moment.", readonly=True
    )
    worker_limit = Int(
        title="Worker limit",
        description="How many jobs it last said that it can run at once; None if it never did.",
        required=False,
        readonly=True,
    )
    current_jobs = Attribute("Its `ICodeImportJob`s, the one that was started first first.")
    events = Attribute("Its `ICodeImportEvent`s, the newest first.")

    def shouldLookForJob(worker_limit: int) -> bool:
        """Record that the machine asks for work, and say whether it may get any.

        The row stays locked until the end of the transaction, so that the answer holds
        until then.  A quiescing machine without jobs goes OFFLINE.

        :param worker_limit: How many jobs it can run at once, 0 to 10,000.
        :return: True if it is ONLINE and runs fewer than that.
        :raise InvalidWorkerLimit: if the limit is no number, or out of range.
        """

    def setOnline(user: Any = None, message: str | None = None) -> None:
        """Let the machine take jobs.

        :param user: The `IPerson` who does it; None for the system.
        :param message: Why; None for no reason given.
        :raise MachineStateRefused: if it is ONLINE already.
        """

    def setOffline(reason: Any, user: Any = None, message: str | None = None) -> None:
        """Give the machine no more jobs; those that it runs may still finish.

        :param reason: A `CodeImportMachineOfflineReason`.
        :param user: The `IPerson` who does it; None for the system.
        :param message: Why; None for no reason given.
        :raise InvalidArgument: if the reason is something else.
        :raise MachineStateRefused: if it is OFFLINE already.
        """

    def setQuiescing(user: Any, message: str | None = None) -> None:
        """Let the machine finish its jobs, and take no new ones; then it goes OFFLINE.

        :param user: The `IPerson` who does it.
        :param message: Why; None for no reason given.
        :raise MachineStateRefused: if it is not ONLINE.
        """


class ICodeImportMachineSet(Interface):
    """All machines."""

    def getAll() -> Iterable[ICodeImportMachine]:
        """Return every machine, by hostname."""

    def getByHostname(hostname: str) -> ICodeImportMachine | None:
        """Find a machine.

        :param hostname: The exact hostname.
        :return: The machine, or None.
        """

    def new(hostname: str, state: Any = CodeImportMachineState.OFFLINE) -> ICodeImportMachine:
        """Register a machine.

        :param hostname: Its hostname.
        :param state: OFFLINE, or ONLINE, for which an event is written.
        :raise InvalidHostname: if the hostname is malformed.
        :raise MachineExists: if the hostname is registered.
        :raise MachineStateRefused: if the state is another.
        """

    def ensure(hostname: str, state: Any) -> ICodeImportMachine:
        """Find a machine, or register it; safe when several callers do at once.

        :param hostname: Its hostname.
        :param state: The state of a machine that was not registered, as for `new`.
        :raise InvalidHostname: if the hostname is malformed.
        """
