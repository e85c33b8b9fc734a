"""The jobs table, and the queue that it is."""

__all__ = ["CodeImportJob", "CodeImportJobSet"]

from typing import Any

from storm.locals import Int, Reference, Storm, Unicode
from zope.component import getUtility
from zope.interface import implementer

from lp.code.enums import CodeImportJobState, CodeImportMachineState, RevisionControlSystems
from lp.code.errors import (
    JobNotStale,
    JobStateError,
    NoSuchCodeImportJob,
    UnknownMachineRefused,
    UnsupportedSourceType,
)
from lp.code.interfaces.codeimportjob import (
    ICodeImportJob,
    ICodeImportJobSet,
    ICodeImportJobWorkflow,
)
from lp.code.interfaces.codeimportmachine import ICodeImportMachine, ICodeImportMachineSet
from lp.code.model.locks import lock_machines
from lp.code.policy.arguments import check_hostname, check_worker_limit
from lp.services.config import config
from lp.services.database.columns import DBEnum, UTCDateTime
from lp.services.database.constants import DEFAULT
from lp.services.database.interfaces import IStore
from lp.services.macaroons.interfaces import IMacaroonIssuer

SOURCE_WORDS = {
    RevisionControlSystems.CVS: "cvs",
    RevisionControlSystems.SVN: "svn",
    RevisionControlSystems.BZR_SVN: "svn",
    RevisionControlSystems.GIT: "git",
    RevisionControlSystems.HG: "hg",
    RevisionControlSystems.BZR: "bzr",
}
TARGET_WORD = "git"

IS_OVERDUE = "SELECT date_due <= CURRENT_TIMESTAMP FROM codeimportjob WHERE id = ?"

# The most urgent due job that no other caller is about to take: those that somebody asked
# for come first, then the longest overdue.  Each branch reads its own index in the order
# of its rows, and skips what others have locked.
MOST_URGENT_JOB = """
    WITH requested AS MATERIALIZED (
        SELECT id FROM codeimportjob
         WHERE state = 10 AND requesting_user IS NOT NULL AND date_due <= CURRENT_TIMESTAMP
         ORDER BY date_due, id LIMIT 1
           FOR UPDATE SKIP LOCKED
    ), ordinary AS MATERIALIZED (
        SELECT id FROM codeimportjob
         WHERE state = 10 AND requesting_user IS NULL AND date_due <= CURRENT_TIMESTAMP
           AND NOT EXISTS (SELECT 1 FROM requested)
         ORDER BY date_due, id LIMIT 1
           FOR UPDATE OF codeimportjob SKIP LOCKED
    )
    SELECT id FROM requested UNION ALL SELECT id FROM ordinary
"""
RECLAIMABLE_JOBS = """
    SELECT id, machine FROM codeimportjob
     WHERE state = 30 AND heartbeat < CURRENT_TIMESTAMP - make_interval(secs => ?)
     ORDER BY id LIMIT ?
"""
# One caller at a time reclaims; the others need not wait for it.
OFFICE_OF_RECLAIMING = "SELECT pg_try_advisory_xact_lock(hashtext('codeimportjob.reclaim'))"

RECLAIMS_PER_CALL = 50
"""How many jobs one call reclaims at most, so that it is answered in time."""


@implementer(ICodeImportJob)
class CodeImportJob(Storm):
    """See `ICodeImportJob`."""

    __storm_table__ = "codeimportjob"

    id = Int(primary=True)
    date_created: Any = UTCDateTime(allow_none=False, default=DEFAULT)
    code_import_id = Int(name="code_import", allow_none=False)
    code_import = Reference(code_import_id, "CodeImport.id")
    machine_id = Int(name="machine")
    machine = Reference(machine_id, "CodeImportMachine.id")
    date_due: Any = UTCDateTime(allow_none=False)
    state = DBEnum(enum=CodeImportJobState, allow_none=False)
    requesting_user_id = Int(name="requesting_user")
    requesting_user = Reference(requesting_user_id, "Person.id")
    ordering = Int()
    heartbeat: Any = UTCDateTime()
    logtail = Unicode()
    date_started: Any = UTCDateTime()

    def isOverdue(self) -> bool:
        """See `ICodeImportJob`."""
        row = IStore(self).execute(IS_OVERDUE, (self.id,)).get_one()
        return bool(row and row[0])

    def makeWorkerArguments(self) -> list[str]:
        """See `ICodeImportJob`."""
        code_import = self.code_import
        word = SOURCE_WORDS.get(code_import.rcs_type)
        if word is None:
            raise UnsupportedSourceType(
                f"Sources of type {code_import.rcs_type.name} cannot be imported."
            )
        arguments = [code_import.target.unique_name, word, TARGET_WORD]
        if code_import.rcs_type == RevisionControlSystems.CVS:
            arguments += [code_import.cvs_root, "--cvs-module", code_import.cvs_module]
        else:
            arguments.append(code_import.url)
        issuer = getUtility(IMacaroonIssuer, "code-import-job")
        arguments += ["--macaroon", issuer.issueMacaroon(self).serialize()]
        hosts = [host.strip() for host in config.codehosting.blacklisted_hostnames.split(",")]
        if word == TARGET_WORD:
            hosts.insert(0, config.vhost.mainsite.hostname)
        for host in filter(None, hosts):
            arguments += ["--exclude-host", host]
        return arguments


@implementer(ICodeImportJobSet)
class CodeImportJobSet:
    """See `ICodeImportJobSet`."""

    def getById(self, id: int) -> CodeImportJob | None:
        """See `ICodeImportJobSet`."""
        job: CodeImportJob | None = IStore(CodeImportJob).find(CodeImportJob, id=id).one()
        return job

    def getByCodeImport(self, code_import: Any) -> CodeImportJob | None:
        """See `ICodeImportJobSet`."""
        jobs = IStore(CodeImportJob).find(CodeImportJob, code_import_id=code_import.id)
        job: CodeImportJob | None = jobs.one()
        return job

    def getJobsInState(self, state: Any) -> Any:
        """See `ICodeImportJobSet`."""
        return IStore(CodeImportJob).find(CodeImportJob, state=state)

    def getReclaimableJobs(self) -> list[CodeImportJob]:
        """See `ICodeImportJobSet`."""
        ids = [job_id for job_id, _ in self._find_reclaimable()]
        found = IStore(CodeImportJob).find(CodeImportJob, CodeImportJob.id.is_in(ids))
        return list(found.order_by(CodeImportJob.id))

    def getJobForMachine(self, hostname: str, worker_limit: int) -> CodeImportJob | None:
        """See `ICodeImportJobSet`."""
        hostname, worker_limit = check_hostname(hostname), check_worker_limit(worker_limit)
        machine = self._get_machine(hostname)
        self._reclaim(machine)
        if not machine.shouldLookForJob(worker_limit):
            return None
        found = IStore(CodeImportJob).execute(MOST_URGENT_JOB).get_one()
        if found is None:
            return None
        job = self.getById(found[0])
        if job is None:
            raise NoSuchCodeImportJob(found[0])
        getUtility(ICodeImportJobWorkflow).startJob(job, machine)
        return job

    def _get_machine(self, hostname: str) -> ICodeImportMachine:
        """Return the machine of a hostname, registered now if it was never seen."""
        machines = getUtility(ICodeImportMachineSet)
        machine: ICodeImportMachine | None = machines.getByHostname(hostname)
        if machine is None:
            policy = config.codeimportscheduler.unknown_machines
            if policy == "refuse":
                raise UnknownMachineRefused(hostname)
            machine = machines.ensure(hostname, CodeImportMachineState.items[policy.upper()])
        return machine

    def _find_reclaimable(self) -> list[tuple[int, int]]:
        """Return the ids of some jobs that can be reclaimed, and of their machines."""
        silence = config.codeimportworker.maximum_heartbeat_interval
        result = IStore(CodeImportJob).execute(RECLAIMABLE_JOBS, (silence, RECLAIMS_PER_CALL))
        return list(result)

    def _reclaim(self, caller: ICodeImportMachine) -> None:
        """Reclaim the jobs of machines that fell silent."""
        found, store = self._find_reclaimable(), IStore(CodeImportJob)
        if not found or not store.execute(OFFICE_OF_RECLAIMING).get_one()[0]:
            return
        # All machines at once, the caller too, whose row is needed afterwards.
        lock_machines(store, [caller.id, *(machine_id for _, machine_id in found)])
        for job_id, _ in found:
            job = self.getById(job_id)
            try:
                if job is not None:
                    getUtility(ICodeImportJobWorkflow).reclaimJob(job)
            except (NoSuchCodeImportJob, JobStateError, JobNotStale):
                # It was heard of, or has ended, since we looked.
                continue
