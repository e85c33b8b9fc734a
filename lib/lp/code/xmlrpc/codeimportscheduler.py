"""The scheduler's XML-RPC view."""

__all__ = ["CodeImportSchedulerAPI"]

from typing import Any
from xmlrpc.client import Binary

from zope.component import getUtility
from zope.interface import implementer

from lp.code.enums import CodeImportResultStatus
from lp.code.errors import (
    InvalidArgument,
    JobNotRunning,
    NoSuchCodeImportJob,
    UnknownResultStatus,
)
from lp.code.interfaces.codeimportjob import (
    ICodeImportJob,
    ICodeImportJobSet,
    ICodeImportJobWorkflow,
)
from lp.code.interfaces.codeimportresult import ICodeImportResultSet
from lp.code.interfaces.codeimportscheduler import ICodeImportScheduler
from lp.code.policy.arguments import check_job_id, check_text
from lp.services.config import config
from lp.services.logstore.interfaces import ILogFile, ILogStore
from lp.xmlrpc.helpers import return_fault

ENDED_BY_OTHERS = (CodeImportResultStatus.RECLAIMED, CodeImportResultStatus.KILLED)
"""The statuses of jobs that ended without their worker's word."""


@implementer(ICodeImportScheduler)
class CodeImportSchedulerAPI:
    """See `ICodeImportScheduler`."""

    def __init__(self, context: Any, request: Any) -> None:
        self.context = context
        self.request = request

    @return_fault
    def getJobForMachine(self, hostname: str, worker_limit: int) -> int:
        """See `ICodeImportScheduler`."""
        job = getUtility(ICodeImportJobSet).getJobForMachine(hostname, worker_limit)
        return 0 if job is None else job.id

    @return_fault
    def getImportDataForJobID(self, job_id: int) -> dict[str, Any]:
        """See `ICodeImportScheduler`."""
        job = self._get_job(job_id)
        if job.machine is None:
            # The arguments hold a token; it is made for the machine that has the job.
            raise JobNotRunning(job.id, job.state.name)
        code_import = self._get_import(job)
        target = code_import.target
        return {
            "arguments": job.makeWorkerArguments(),
            "target_url": f"https://{config.vhost.mainsite.hostname}/{target.unique_name}",
            "log_file_name": self._log_file_name(job),
            "blacklisted_hostnames": [
                host.strip()
                for host in config.codehosting.blacklisted_hostnames.split(",")
                if host.strip()
            ],
            "source_state": code_import.source_state,
        }

    @return_fault
    def updateHeartbeat(self, job_id: int, log_tail: str) -> int:
        """See `ICodeImportScheduler`."""
        job = self._get_job(job_id)
        workflow = getUtility(ICodeImportJobWorkflow)
        workflow.updateHeartbeat(job, check_text(log_tail, "log tail"))
        return 0

    @return_fault
    def finishJobID(
        self, job_id: int, status_name: str, log_file: bytes | str, source_state: str = ""
    ) -> None:
        """See `ICodeImportScheduler`."""
        job_id = check_job_id(job_id)
        log = None
        try:
            job = self._get_job(job_id)
            status = self._get_status(status_name)
            source_state = check_text(source_state, "source state")
            log = self._store_log(job, log_file)
            getUtility(ICodeImportJobWorkflow).finishJob(job, status, log, source_state)
        except NoSuchCodeImportJob:
            if not self._was_answered(job_id, status_name):
                raise
            if log is not None:
                # The same call has ended the job since we found it, with the same log.
                getUtility(ILogStore).delete([log.id])

    def _get_job(self, job_id: int) -> ICodeImportJob:
        """Return a job, or raise that there is none."""
        job: ICodeImportJob | None = getUtility(ICodeImportJobSet).getById(check_job_id(job_id))
        if job is None:
            raise NoSuchCodeImportJob(job_id)
        return job

    def _get_import(self, job: ICodeImportJob) -> Any:
        """Return a job's import, or raise that there is no such job any more."""
        code_import = job.code_import
        if code_import is None:
            # Both were deleted since the job was found.
            raise NoSuchCodeImportJob(job.id)
        return code_import

    def _get_status(self, status_name: object) -> Any:
        """Return a result status by its name, or raise that there is none."""
        name = check_text(status_name, "status name")
        known = [status.name for status in CodeImportResultStatus.items]
        if name not in known:
            raise UnknownResultStatus(name[:100], known)
        return CodeImportResultStatus.items[name]

    def _store_log(self, job: ICodeImportJob, log_file: object) -> ILogFile | None:
        """Store a job's log, and return it; None if there is none."""
        content = log_file.data if isinstance(log_file, Binary) else log_file
        if not content:
            return None
        if not isinstance(content, bytes):
            raise InvalidArgument("The log must be base64, or an empty string.")
        stored: ILogFile = getUtility(ILogStore).create(self._log_file_name(job), content)
        return stored

    def _log_file_name(self, job: ICodeImportJob) -> str:
        """Return a file name for a job's log."""
        unique_name: str = self._get_import(job).target.unique_name
        return unique_name.replace("/", "-") + ".log"

    def _was_answered(self, job_id: int, status_name: object) -> bool:
        """Say whether a job ended by the same call, made before, whose answer got lost."""
        status = getUtility(ICodeImportResultSet).getStatusOfJob(
            job_id, config.codeimportscheduler.finish_memory
        )
        return status is not None and status not in ENDED_BY_OTHERS and status.name == status_name
