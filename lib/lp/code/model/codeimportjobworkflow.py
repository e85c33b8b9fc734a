"""The only writer of jobs.

Each transition's statement states again, under the lock that it takes, what the transition
needs.  Where it finds no row somebody else was first; nothing has been written then.
"""

__all__ = ["CodeImportJobWorkflow"]

import logging
from datetime import timedelta
from typing import Any

from zope.component import getUtility
from zope.interface import implementer

from lp.code.enums import (
    CodeImportJobState,
    CodeImportMachineState,
    CodeImportResultStatus,
    CodeImportReviewStatus,
)
from lp.code.errors import (
    CodeImportAlreadyRequested,
    CodeImportJobMissing,
    CodeImportJobPresent,
    CodeImportNotInReviewedState,
    JobNotPending,
    JobNotRunning,
    JobNotStale,
    MachineFull,
    MachineStateRefused,
    NoSuchCodeImportJob,
)
from lp.code.interfaces.codeimportevent import ICodeImportEventSet
from lp.code.interfaces.codeimportjob import (
    ICodeImportJob,
    ICodeImportJobSet,
    ICodeImportJobWorkflow,
)
from lp.code.interfaces.codeimportresult import ICodeImportResult, ICodeImportResultSet
from lp.code.model.locks import lock_import, lock_import_with_job, lock_machines
from lp.code.policy.schedule import interval_after
from lp.services.config import config
from lp.services.database.interfaces import IStore
from lp.services.database.transactions import after_commit
from lp.services.text import storable_text

logger = logging.getLogger(__name__)

PENDING = CodeImportJobState.PENDING.value
RUNNING = CodeImportJobState.RUNNING.value

AGREED = (CodeImportResultStatus.SUCCESS, CodeImportResultStatus.SUCCESS_NOCHANGE)
"""The statuses after which the target agrees with the source."""

# The interval counts from the start of the last run; GREATEST passes over the NULL of an
# import that has never run.
INSERT_JOB = """
    INSERT INTO codeimportjob (code_import, state, requesting_user, date_due)
    VALUES (?, ?, ?, GREATEST(
        CURRENT_TIMESTAMP,
        (SELECT date_job_started FROM codeimportresult
          WHERE code_import = ? ORDER BY id DESC LIMIT 1) + ?))
    RETURNING id
"""
DELETE_PENDING_JOB = "DELETE FROM codeimportjob WHERE code_import = ? AND state = ? RETURNING id"
DELETE_JOB_OF_IMPORT = "DELETE FROM codeimportjob WHERE code_import = ? RETURNING machine"
REQUEST_JOB = """
    UPDATE codeimportjob
       SET requesting_user = ?, date_due = LEAST(date_due, CURRENT_TIMESTAMP)
     WHERE id = ? AND state = ? AND requesting_user IS NULL
 RETURNING id
"""
START_JOB = """
    UPDATE codeimportjob
       SET state = ?, machine = ?, logtail = '',
           heartbeat = CURRENT_TIMESTAMP, date_started = CURRENT_TIMESTAMP
     WHERE id = ? AND state = ?
 RETURNING EXTRACT(EPOCH FROM CURRENT_TIMESTAMP - date_due)
"""
HEARTBEAT = """
    UPDATE codeimportjob SET heartbeat = CURRENT_TIMESTAMP, logtail = ?
     WHERE id = ? AND state = ?
 RETURNING id
"""
# The fourth value says whether the job is ended however lately it was heard of.
END_JOB = """
    DELETE FROM codeimportjob
     WHERE id = ? AND state = ? AND machine = ?
       AND (? OR heartbeat < CURRENT_TIMESTAMP - make_interval(secs => ?))
 RETURNING logtail, date_started
"""
ONE_MORE_RUNNING = "UPDATE codeimportmachine SET running = running + 1 WHERE id = ?"
# The counter cannot fall below nothing, whatever it has been through: a job that could not
# end for it would be worse than a counter that is mended later.
ONE_LESS_RUNNING = "UPDATE codeimportmachine SET running = GREATEST(running - 1, 0) WHERE id = ?"


@implementer(ICodeImportJobWorkflow)
class CodeImportJobWorkflow:
    """See `ICodeImportJobWorkflow`."""

    def newJob(self, code_import: Any, interval: timedelta | None = None) -> ICodeImportJob:
        """See `ICodeImportJobWorkflow`."""
        store = IStore(code_import)
        lock_import(store, code_import.id)
        store.invalidate(code_import)
        if code_import.review_status != CodeImportReviewStatus.REVIEWED:
            raise CodeImportNotInReviewedState(
                code_import.target.unique_name, code_import.review_status.name
            )
        if code_import.import_job is not None:
            raise CodeImportJobPresent(code_import.target.unique_name)
        if interval is None:
            interval = code_import.effective_update_interval
        return self._insert_job(code_import, interval)

    def deletePendingJob(self, code_import: Any) -> None:
        """See `ICodeImportJobWorkflow`."""
        store = IStore(code_import)
        lock_import_with_job(store, code_import.id)
        unique_name = code_import.target.unique_name
        if code_import.review_status == CodeImportReviewStatus.REVIEWED:
            raise CodeImportJobPresent(unique_name)
        job = code_import.import_job
        if job is None:
            raise CodeImportJobMissing(unique_name)
        if store.execute(DELETE_PENDING_JOB, (code_import.id, PENDING)).get_one() is None:
            raise JobNotPending(job.id, job.state.name)
        store.invalidate(job)

    def requestJob(self, import_job: Any, user: Any) -> None:
        """See `ICodeImportJobWorkflow`."""
        store, job_id = IStore(import_job), import_job.id
        if store.execute(REQUEST_JOB, (user.id, job_id, PENDING)).get_one() is None:
            job = self._reload(import_job)
            code_import = job.code_import
            if job.state != CodeImportJobState.PENDING:
                raise JobNotPending(job_id, job.state.name)
            if code_import is None:
                raise NoSuchCodeImportJob(job_id)
            raise CodeImportAlreadyRequested(code_import.target.unique_name, job.requesting_user)
        store.invalidate(import_job)
        getUtility(ICodeImportEventSet).newRequest(import_job.code_import, user)

    def startJob(self, import_job: Any, machine: Any) -> None:
        """See `ICodeImportJobWorkflow`."""
        store, job_id = IStore(import_job), import_job.id
        lock_machines(store, [machine.id])
        store.invalidate(machine)
        if machine.state != CodeImportMachineState.ONLINE:
            raise MachineStateRefused(machine.hostname, machine.state.name, "take a job")
        if machine.worker_limit is not None and machine.running >= machine.worker_limit:
            raise MachineFull(machine.hostname, machine.worker_limit)
        values = (RUNNING, machine.id, job_id, PENDING)
        waited = store.execute(START_JOB, values).get_one()
        if waited is None:
            raise JobNotPending(job_id, self._reload(import_job).state.name)
        store.execute(ONE_MORE_RUNNING, (machine.id,), noresult=True)
        store.invalidate(import_job)
        store.invalidate(machine)
        code_import = import_job.code_import
        getUtility(ICodeImportEventSet).newStart(code_import, machine)
        self._log("job claimed", job_id, code_import, machine, waited_s=round(float(waited[0]), 1))

    def updateHeartbeat(self, import_job: Any, logtail: str) -> None:
        """See `ICodeImportJobWorkflow`."""
        store, job_id = IStore(import_job), import_job.id
        values = (storable_text(logtail), job_id, RUNNING)
        if store.execute(HEARTBEAT, values).get_one() is None:
            raise JobNotRunning(job_id, self._reload(import_job).state.name)
        store.invalidate(import_job)

    def finishJob(
        self, import_job: Any, status: Any, logfile_alias: Any, source_state: str = ""
    ) -> None:
        """See `ICodeImportJobWorkflow`."""
        job_id = import_job.id
        code_import, result = self._end_job(import_job, status, logfile_alias)
        failures = code_import.consecutive_failure_count
        if failures and failures >= config.codeimport.consecutive_failure_limit:
            self._set_aside(code_import)
        if code_import.review_status == CodeImportReviewStatus.REVIEWED:
            interval = code_import.effective_update_interval
            self._insert_job(code_import, interval_after(status, interval, failures))
        if status in AGREED:
            code_import.date_last_successful = result.date_created
        code_import.source_state = storable_text(source_state) if status in AGREED else ""
        getUtility(ICodeImportEventSet).newFinish(code_import, result.machine)
        self._log("job finished", job_id, code_import, result.machine, status=status.name)

    def reclaimJob(self, import_job: Any) -> None:
        """See `ICodeImportJobWorkflow`."""
        job_id = import_job.id
        code_import, result = self._end_job(
            import_job, CodeImportResultStatus.RECLAIMED, None, only_if_stale=True
        )
        if code_import.review_status == CodeImportReviewStatus.REVIEWED:
            self._insert_job(code_import, timedelta(0), result.requesting_user)
        code_import.source_state = ""
        getUtility(ICodeImportEventSet).newReclaim(code_import, result.machine, job_id)
        self._log("job reclaimed", job_id, code_import, result.machine)

    def endJobOfDeletedImport(self, code_import: Any) -> None:
        """See `ICodeImportJobWorkflow`."""
        store = IStore(code_import)
        lock_import_with_job(store, code_import.id)
        job = code_import.import_job
        if job is not None:
            [machine_id] = store.execute(DELETE_JOB_OF_IMPORT, (code_import.id,)).get_one()
            if machine_id is not None:
                self._release(store, machine_id)
            store.invalidate()

    def _insert_job(
        self, code_import: Any, interval: timedelta, user: Any = None
    ) -> ICodeImportJob:
        """Make a job; the import's row is locked."""
        store = IStore(code_import)
        values = (code_import.id, PENDING, user and user.id, code_import.id, interval)
        [job_id] = store.execute(INSERT_JOB, values).get_one()
        return self._find(job_id)

    def _end_job(
        self, import_job: Any, status: Any, log_file: Any, *, only_if_stale: bool = False
    ) -> tuple[Any, ICodeImportResult]:
        """Turn a RUNNING job into a result; return its import, locked, and the result."""
        store = IStore(import_job)
        job = self._reload(import_job)
        job_id, machine, user = job.id, job.machine, job.requesting_user
        if machine is None:
            raise JobNotRunning(job_id, job.state.name)
        code_import = job.code_import
        lock_machines(store, [machine.id])
        silence = config.codeimportworker.maximum_heartbeat_interval if only_if_stale else 0
        values = (job_id, RUNNING, machine.id, not only_if_stale, silence)
        ended = store.execute(END_JOB, values).get_one()
        if ended is None:
            self._reload(job)
            raise JobNotStale(job_id)
        lock_import(store, code_import.id)
        self._release(store, machine.id)
        store.invalidate()
        log_excerpt, date_started = ended
        result = getUtility(ICodeImportResultSet).new(
            code_import, machine, user, log_excerpt, log_file, status, date_started, job_id=job_id
        )
        return code_import, result

    def _release(self, store: IStore, machine_id: int) -> None:
        """Lower a machine's counter: one of its jobs has ended."""
        store.execute(ONE_LESS_RUNNING, (machine_id,), noresult=True)

    def _set_aside(self, code_import: Any) -> None:
        """Make an import FAILING, unless a person has decided otherwise meanwhile."""
        if code_import.review_status == CodeImportReviewStatus.REVIEWED:
            code_import.updateFromData({"review_status": CodeImportReviewStatus.FAILING}, None)

    def _reload(self, import_job: Any) -> Any:
        """Return a job as it is in the database now.

        :raise NoSuchCodeImportJob: if it is gone.
        """
        # Forgotten first, it is found and read by one statement: it may be gone before another.
        IStore(import_job).invalidate(import_job)
        return self._find(import_job.id)

    def _find(self, job_id: int) -> Any:
        """Return a job.

        :raise NoSuchCodeImportJob: if there is none.
        """
        job = getUtility(ICodeImportJobSet).getById(job_id)
        if job is None:
            raise NoSuchCodeImportJob(job_id)
        return job

    def _log(
        self, message: str, job_id: int, code_import: Any, machine: Any, **facts: Any
    ) -> None:
        """Log a transition once it is committed; before, it may still be undone."""
        names = {"machine": machine.hostname, "target": code_import.target.unique_name}
        after_commit(logger.info, message, extra={"job_id": job_id, **names, **facts})
