"""The results table."""

__all__ = ["CodeImportResult", "CodeImportResultSet"]

from datetime import datetime, timedelta
from typing import Any

from storm.locals import Desc, Int, Reference, Storm, Unicode
from zope.interface import implementer

from lp.code.enums import CodeImportResultStatus
from lp.code.interfaces.codeimportresult import ICodeImportResult, ICodeImportResultSet
from lp.services.database.columns import DBEnum, UTCDateTime
from lp.services.database.constants import UTC_NOW
from lp.services.database.interfaces import IStore

STATUS_OF_JOB = """
    SELECT status FROM codeimportresult
     WHERE job = ? AND date_created > CURRENT_TIMESTAMP - make_interval(secs => ?)
"""


@implementer(ICodeImportResult)
class CodeImportResult(Storm):
    """See `ICodeImportResult`."""

    __storm_table__ = "codeimportresult"

    id: int = Int(primary=True)
    date_created: Any = UTCDateTime(allow_none=False)
    code_import_id = Int(name="code_import", allow_none=False)
    code_import = Reference(code_import_id, "CodeImport.id")
    machine_id = Int(name="machine", allow_none=False)
    machine = Reference(machine_id, "CodeImportMachine.id")
    requesting_user_id = Int(name="requesting_user")
    requesting_user = Reference(requesting_user_id, "Person.id")
    log_excerpt = Unicode()
    log_file_id = Int(name="log_file")
    log_file = Reference(log_file_id, "LogFile.id")
    status = DBEnum(enum=CodeImportResultStatus, allow_none=False)
    date_job_started: Any = UTCDateTime()
    job_id = Int(name="job")

    @property
    def date_job_finished(self) -> datetime:
        """See `ICodeImportResult`."""
        finished: datetime = self.date_created
        return finished

    @property
    def job_duration(self) -> timedelta:
        """See `ICodeImportResult`."""
        duration: timedelta = self.date_job_finished - self.date_job_started
        return duration


@implementer(ICodeImportResultSet)
class CodeImportResultSet:
    """See `ICodeImportResultSet`."""

    def new(
        self,
        code_import: Any,
        machine: Any,
        requesting_user: Any,
        log_excerpt: str | None,
        log_file: Any,
        status: Any,
        date_job_started: datetime,
        date_job_finished: datetime | None = None,
        job_id: int | None = None,
    ) -> CodeImportResult:
        """See `ICodeImportResultSet`."""
        result = CodeImportResult()
        result.code_import = code_import
        result.machine = machine
        result.requesting_user = requesting_user
        result.log_excerpt = log_excerpt
        result.log_file = log_file
        result.status = status
        result.date_job_started = date_job_started
        result.date_created = date_job_finished or UTC_NOW
        result.job_id = job_id
        store = IStore(CodeImportResult)
        store.add(result)
        # What counts failures asks the database.
        store.flush()
        return result

    def getResultsForCodeImport(self, code_import: Any) -> Any:
        """See `ICodeImportResultSet`."""
        results = IStore(CodeImportResult).find(CodeImportResult, code_import_id=code_import.id)
        return results.order_by(Desc(CodeImportResult.id))

    def getStatusOfJob(self, job_id: int, within: int) -> Any:
        """See `ICodeImportResultSet`."""
        found = IStore(CodeImportResult).execute(STATUS_OF_JOB, (job_id, within)).get_one()
        return found and CodeImportResultStatus.items[found[0]]
