"""Events: what happened to imports and machines, kept as data."""

__all__ = ["ICodeImportEvent", "ICodeImportEventSet", "ICodeImportModifyToken"]

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from zope.interface import Attribute, Interface
from zope.schema import Choice, Datetime, Int

from lp.code.enums import CodeImportEventType


class ICodeImportEvent(Interface):
    """One thing that happened, written in the transaction that made it happen."""

    id = Int(title="ID", description="The number in the database.", readonly=True)
    date_created = Datetime(title="Date", description="When it happened.", readonly=True)
    event_type = Choice(
        title="Type", description="What happened.", values=tuple(CodeImportEventType.items)
    )
    code_import = Attribute("The `ICodeImport` concerned; None if there is none any more.")
    person = Attribute("The `IPerson` who did it; None if nobody did: the system itself.")
    machine = Attribute("The `ICodeImportMachine` concerned, or None.")

    def items() -> list[tuple[Any, str | None]]:
        """Return the event's data.

        :return: Pairs of a `CodeImportEventDataType` and a text (None where there is no
            value), in the order of the data types.
        """


class ICodeImportModifyToken(Interface):
    """An import's values before a modification; only `ICodeImportEventSet` looks inside."""


class ICodeImportEventSet(Interface):
    """All events, and the makers of each type."""

    def getAll() -> Iterable[ICodeImportEvent]:
        """Return every event, the oldest first."""

    def getEventsForCodeImport(code_import: Any) -> Iterable[ICodeImportEvent]:
        """Return the events of one import, the oldest first.

        :param code_import: The `ICodeImport`.
        """

    def getEventsForMachine(machine: Any) -> Iterable[ICodeImportEvent]:
        """Return the events of one machine, the newest first.

        :param machine: The `ICodeImportMachine`.
        """

    def newCreate(code_import: Any, person: Any) -> ICodeImportEvent:
        """Record that an import was registered, with all its values.

        :param code_import: The new `ICodeImport`.
        :param person: The `IPerson` who registered it.
        """

    def beginModify(code_import: Any) -> ICodeImportModifyToken:
        """Remember an import's values before a modification.

        :param code_import: The `ICodeImport` that will be modified.
        :return: A token for `newModify`.
        """

    def newModify(
        code_import: Any, person: Any, token: ICodeImportModifyToken
    ) -> ICodeImportEvent | None:
        """Record what a modification changed.

        :param code_import: The modified `ICodeImport`.
        :param person: The `IPerson` who did it; None for the system.
        :param token: What `beginModify` returned for the same import.
        :return: The event, with all values and the previous ones of those that changed;
            None when nothing changed.
        :raise WrongModifyToken: if the token is of another import.
        """

    def newDelete(code_import: Any, person: Any) -> ICodeImportEvent:
        """Record that an import is deleted, with its last values; the event survives it.

        :param code_import: The `ICodeImport` that will be deleted.
        :param person: The `IPerson` who does it; None for the system.
        """

    def newRequest(code_import: Any, person: Any) -> ICodeImportEvent:
        """Record that somebody asked for a run.

        :param code_import: The `ICodeImport`.
        :param person: The `IPerson` who asked.
        """

    def newOnline(
        machine: Any,
        user: Any = None,
        message: str | None = None,
        _date_created: datetime | None = None,
    ) -> ICodeImportEvent:
        """Record that a machine went online.

        :param machine: The `ICodeImportMachine`.
        :param user: The `IPerson` who did it; None for the system.
        :param message: Why; None or empty for no reason given.
        :param _date_created: When; None means now.
        """

    def newOffline(
        machine: Any, reason: Any, user: Any = None, message: str | None = None
    ) -> ICodeImportEvent:
        """Record that a machine went offline.

        :param machine: The `ICodeImportMachine`.
        :param reason: A `CodeImportMachineOfflineReason`.
        :param user: The `IPerson` who did it; None for the system.
        :param message: Why; None or empty for no reason given.
        :raise InvalidArgument: if `reason` is something else.
        """

    def newQuiesce(machine: Any, user: Any, message: str | None = None) -> ICodeImportEvent:
        """Record that a machine was asked to finish its jobs and take no more.

        :param machine: The `ICodeImportMachine`.
        :param user: The `IPerson` who asked.
        :param message: Why; None or empty for no reason given.
        """

    def newStart(code_import: Any, machine: Any) -> ICodeImportEvent:
        """Record that a job was handed to a machine.

        :param code_import: The job's `ICodeImport`.
        :param machine: The `ICodeImportMachine`.
        """

    def newFinish(code_import: Any, machine: Any) -> ICodeImportEvent:
        """Record that a machine reported a result.

        :param code_import: The job's `ICodeImport`.
        :param machine: The `ICodeImportMachine`.
        """

    def newKill(code_import: Any, machine: Any) -> ICodeImportEvent:
        """Record that the end of a running job was requested.

        :param code_import: The job's `ICodeImport`.
        :param machine: The `ICodeImportMachine` that runs it.
        """

    def newReclaim(code_import: Any, machine: Any, job_id: int) -> ICodeImportEvent:
        """Record that a job was taken away from a silent machine.

        :param code_import: The job's `ICodeImport`.
        :param machine: The `ICodeImportMachine` that had it.
        :param job_id: The job's id, by which the machine's own logs can be searched.
        :raise InvalidArgument: if `job_id` is no number.
        """
