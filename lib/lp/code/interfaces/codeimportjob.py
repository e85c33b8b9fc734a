"""Jobs: the runs that imports wait for, or are in."""

__all__ = ["ICodeImportJob", "ICodeImportJobSet", "ICodeImportJobWorkflow"]

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from zope.interface import Attribute, Interface
from zope.schema import Choice, Datetime, Int, Text

from lp.code.enums import CodeImportJobState


class ICodeImportJob(Interface):
    """One run of an import, until it has a result.

    Nothing here is set directly: all changes go through `ICodeImportJobWorkflow`.
    """

    id = Int(title="ID", description="The number that workers call with.", readonly=True)
    date_created = Datetime(title="Date created", description="When it was made.", readonly=True)
    code_import = Attribute("The `ICodeImport` that it runs.")
    machine = Attribute("The `ICodeImportMachine` that runs it; None unless it is RUNNING.")
    date_due = Datetime(
        title="Date due", description="The earliest moment to run it.", readonly=True
    )
    state = Choice(
        title="State",
        description="PENDING or RUNNING.",
        values=tuple(CodeImportJobState.items),
        readonly=True,
    )
    requesting_user = Attribute("The `IPerson` who asked for the run; None if it is just due.")
    ordering = Int(
        title="Ordering", description="Reserved; always None.", required=False, readonly=True
    )
    heartbeat = Datetime(
        title="Heartbeat",
        description="When its worker was last heard of; None unless it is RUNNING.",
        required=False,
        readonly=True,
    )
    logtail = Text(
        title="Log tail",
        description="The last lines that its worker sent; None unless it is RUNNING.",
        required=False,
        readonly=True,
    )
    date_started = Datetime(
        title="Date started",
        description="When it was handed to its machine; None unless it is RUNNING.",
        required=False,
        readonly=True,
    )

    def isOverdue() -> bool:
        """Say whether the job is due, by the clock of the current transaction."""

    def makeWorkerArguments() -> list[str]:
        """Return the arguments of the worker that runs the job.

        :return: The target's unique name, the source's type, the target's type, the source,
            and options; among them a token of the job, a secret.
        :raise UnsupportedSourceType: if sources of the type are not imported.
        """


class ICodeImportJobSet(Interface):
    """All jobs, and the queue that machines ask."""

    def getById(id: int) -> ICodeImportJob | None:
        """Find a job.

        :param id: Its id.
        :return: The job, or None when there is none: it never was, or it has ended.
        """

    def getByCodeImport(code_import: Any) -> ICodeImportJob | None:
        """Find the job of an import.

        :param code_import: The `ICodeImport`.
        :return: Its job, or None.
        """

    def getJobsInState(state: Any) -> Iterable[ICodeImportJob]:
        """Return the jobs in a state, as a result set that can be counted and sorted.

        :param state: A `CodeImportJobState`.
        """

    def getReclaimableJobs() -> Iterable[ICodeImportJob]:
        """Return the RUNNING jobs that have been silent for too long."""

    def getJobForMachine(hostname: str, worker_limit: int) -> ICodeImportJob | None:
        """Claim the most urgent due job for a machine.

        Jobs that somebody requested come first, then those that have been due for longest.
        First, jobs of machines that fell silent are reclaimed.  A hostname that was never
        seen is registered as the configuration says.

        :param hostname: The machine's hostname.
        :param worker_limit: How many jobs it can run at once; 0 is never given one.
        :return: The job, RUNNING on the machine; None when there is no job for it.
        :raise InvalidHostname: if the hostname is malformed.
        :raise InvalidWorkerLimit: if the limit is no number, or out of range.
        :raise UnknownMachineRefused: if unseen hostnames are refused.
        """


class ICodeImportJobWorkflow(Interface):
    """The only writer of jobs.

    Each method locks what it changes, and looks at it again under the lock: of two callers
    at once, the later one meets the named error, and has changed nothing.
    """

    def newJob(code_import: Any, interval: timedelta | None = None) -> ICodeImportJob:
        """Make the next job of an import.

        :param code_import: A REVIEWED `ICodeImport` without a job.
        :param interval: How long after the start of the import's last run the job is due,
            though never before now; None means the import's own interval.  An import that
            has never run is due at once.
        :raise CodeImportNotInReviewedState: if the import is not REVIEWED.
        :raise CodeImportJobPresent: if it has a job.
        """

    def deletePendingJob(code_import: Any) -> None:
        """Delete the job of an import that is no longer REVIEWED.

        :param code_import: An `ICodeImport` that is not REVIEWED, with a PENDING job.
        :raise CodeImportJobPresent: if the import is REVIEWED, and so keeps its job.
        :raise CodeImportJobMissing: if it has no job.
        :raise JobNotPending: if the job runs.
        """

    def requestJob(import_job: ICodeImportJob, user: Any) -> None:
        """Put a job before all that nobody asked for, and make it due now.

        :param import_job: A PENDING job that nobody has requested.
        :param user: The `IPerson` who asks.
        :raise NoSuchCodeImportJob: if the job is gone.
        :raise JobNotPending: if it runs.
        :raise CodeImportAlreadyRequested: if somebody has requested it.
        """

    def startJob(import_job: ICodeImportJob, machine: Any) -> None:
        """Hand a job to a machine.

        :param import_job: A PENDING job.
        :param machine: An ONLINE `ICodeImportMachine` that is not full.
        :raise NoSuchCodeImportJob: if the job is gone.
        :raise JobNotPending: if it runs.
        :raise MachineStateRefused: if the machine is not ONLINE.
        :raise MachineFull: if the machine runs as many jobs as it last said that it can.
        """

    def updateHeartbeat(import_job: ICodeImportJob, logtail: str) -> None:
        """Record that a job's worker lives, and what it last printed.

        :param import_job: A RUNNING job.
        :param logtail: The last lines of output; may be empty.  Characters that the database
            cannot hold are replaced.
        :raise NoSuchCodeImportJob: if the job is gone.
        :raise JobNotRunning: if it does not run.
        """

    def finishJob(
        import_job: ICodeImportJob, status: Any, logfile_alias: Any, source_state: str = ""
    ) -> None:
        """Turn a job into a result, and make the import's next job.

        After failures in a row the next job is due later, and in the end the import becomes
        FAILING.  An import that is not REVIEWED gets no next job.

        :param import_job: A RUNNING job.
        :param status: A `CodeImportResultStatus`.
        :param logfile_alias: The run's log, an `ILogFile`, or None.
        :param source_state: The fingerprint of what was published; empty if there is none.
            It is forgotten unless the target now agrees with the source.
        :raise NoSuchCodeImportJob: if the job is gone.
        :raise JobNotRunning: if it does not run.
        """

    def reclaimJob(import_job: ICodeImportJob) -> None:
        """Take a job away from a machine that fell silent; its successor is due at once.

        :param import_job: A RUNNING job whose last heartbeat is too old.
        :raise NoSuchCodeImportJob: if the job is gone.
        :raise JobNotRunning: if it does not run.
        :raise JobNotStale: if it was heard of lately.
        """

    def endJobOfDeletedImport(code_import: Any) -> None:
        """Delete the job of an import that is about to be deleted, whatever its state.

        A machine that runs it has one job less; its worker's next call finds no job.

        :param code_import: The `ICodeImport`; nothing is done if it has no job.
        :raise NoSuchCodeImport: if it has been deleted meanwhile.
        """
