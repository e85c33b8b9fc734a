"""Results: how each run of an import ended."""

__all__ = ["ICodeImportResult", "ICodeImportResultSet"]

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from zope.interface import Attribute, Interface
from zope.schema import Choice, Datetime, Int, Text, Timedelta

from lp.code.enums import CodeImportResultStatus


class ICodeImportResult(Interface):
    """One finished run; it is never changed."""

    id = Int(title="ID", description="The number in the database.", readonly=True)
    date_created = Datetime(title="Date created", description="When the run ended.", readonly=True)
    code_import = Attribute("The `ICodeImport` that was run.")
    machine = Attribute("The `ICodeImportMachine` that ran it.")
    requesting_user = Attribute("The `IPerson` who asked for the run; None if it was just due.")
    log_excerpt = Text(
        title="Log excerpt",
        description="The last lines that the job had sent; None if it had sent none.",
        required=False,
        readonly=True,
    )
    log_file = Attribute("The run's whole log, an `ILogFile`; None if none was sent.")
    status = Choice(
        title="Status",
        description="How the run ended.",
        values=tuple(CodeImportResultStatus.items),
        readonly=True,
    )
    date_job_started = Datetime(
        title="Date started", description="When the run began.", readonly=True
    )
    date_job_finished = Datetime(
        title="Date finished", description="When the run ended.", readonly=True
    )
    job_duration = Timedelta(title="Duration", description="How long the run took.", readonly=True)


class ICodeImportResultSet(Interface):
    """The maker and finder of results."""

    def new(
        code_import: Any,
        machine: Any,
        requesting_user: Any,
        log_excerpt: str | None,
        log_file: Any,
        status: Any,
        date_job_started: datetime,
        date_job_finished: datetime | None = None,
        job_id: int | None = None,
    ) -> ICodeImportResult:
        """Record a finished run.

        :param code_import: The `ICodeImport` that was run.
        :param machine: The `ICodeImportMachine` that ran it.
        :param requesting_user: The `IPerson` who asked for it, or None.
        :param log_excerpt: The last lines that the job sent, or None.
        :param log_file: The whole log, an `ILogFile`, or None.
        :param status: A `CodeImportResultStatus`.
        :param date_job_started: When the run began.
        :param date_job_finished: When it ended; None means now.
        :param job_id: The id that the job had, by which a repeated call is recognised;
            None where there was none.
        """

    def getResultsForCodeImport(code_import: Any) -> Iterable[ICodeImportResult]:
        """Return the results of one import, the newest first.

        :param code_import: The `ICodeImport`.
        """

    def getStatusOfJob(job_id: int, within: int) -> Any:
        """Say how a job that is gone ended.

        :param job_id: The id that the job had.
        :param within: How long ago it may have ended, in seconds.
        :return: The `CodeImportResultStatus`, or None when no job of that id has a result
            as young as that.
        """
