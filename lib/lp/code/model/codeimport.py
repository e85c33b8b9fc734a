"""The imports table."""

__all__ = ["CodeImport", "CodeImportSet"]

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from psycopg2.errors import UniqueViolation
from storm.locals import Int, Reference, Storm, TimeDelta, Unicode
from zope.component import getUtility
from zope.interface import implementer

from lp.code.enums import (
    CodeImportJobState,
    CodeImportResultStatus,
    CodeImportReviewStatus,
    RevisionControlSystems,
    TargetRevisionControlSystems,
)
from lp.code.errors import (
    CodeImportAlreadyRequested,
    CodeImportAlreadyRunning,
    CodeImportNotFailing,
    CodeImportNotInReviewedState,
    InvalidArgument,
    JobNotPending,
    NoSuchCodeImport,
    NoSuchCodeImportJob,
    SourceTaken,
    TargetTaken,
)
from lp.code.interfaces.codeimport import CodeImportSummary, ICodeImport, ICodeImportSet
from lp.code.interfaces.codeimportevent import ICodeImportEventSet
from lp.code.interfaces.codeimportjob import (
    ICodeImportJob,
    ICodeImportJobSet,
    ICodeImportJobWorkflow,
)
from lp.code.interfaces.codeimportresult import ICodeImportResultSet
from lp.code.interfaces.gitrepository import IGitRepositorySet
from lp.code.model.locks import lock_import_with_job
from lp.code.policy.schedule import check_update_interval
from lp.code.policy.source import Source, check_source
from lp.services.config import config
from lp.services.database.columns import DBEnum, UTCDateTime
from lp.services.database.constants import DEFAULT
from lp.services.database.interfaces import IStore
from lp.services.logstore.interfaces import ILogStore

REVIEWED = CodeImportReviewStatus.REVIEWED
SOURCE_COLUMNS = ("url", "cvs_root", "cvs_module")
CHANGEABLE = frozenset(["review_status", "owner", "assignee", "update_interval", *SOURCE_COLUMNS])

DEFAULT_INTERVAL_KEYS = {
    RevisionControlSystems.CVS: "default_interval_cvs",
    RevisionControlSystems.SVN: "default_interval_subversion",
    RevisionControlSystems.BZR_SVN: "default_interval_subversion",
    RevisionControlSystems.GIT: "default_interval_git",
    RevisionControlSystems.HG: "default_interval_hg",
    RevisionControlSystems.BZR: "default_interval_bzr",
}

INSERT_IMPORT = """
    INSERT INTO codeimport (
        git_repository, registrant, owner, review_status, rcs_type, url, cvs_root, cvs_module)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO NOTHING
    RETURNING id
"""
# The results of one import come one after the other, so that their ids tell their order.
COUNT_FAILURES = """
    SELECT count(*) FROM codeimportresult
     WHERE code_import = ? AND id > COALESCE((
        SELECT max(id) FROM codeimportresult WHERE code_import = ? AND status IN (?, ?, ?)), 0)
"""
# One page of the list of all imports, by target; the name that the last page ended with is
# where the next one goes on, so that each page costs the same.
SUMMARIES = """
    SELECT target.unique_name, COALESCE(import.url, import.cvs_root || ' ' || import.cvs_module),
           import.rcs_type, import.review_status, job.state, job.date_due,
           result.status, result.date_created, lower(target.unique_name)
      FROM gitrepository AS target
      JOIN codeimport AS import ON import.git_repository = target.id
      LEFT JOIN codeimportjob AS job ON job.code_import = import.id
      LEFT JOIN LATERAL (
        SELECT status, date_created FROM codeimportresult
         WHERE code_import = import.id ORDER BY id DESC LIMIT 1) AS result ON true
     WHERE lower(target.unique_name) > ?
     ORDER BY lower(target.unique_name) LIMIT ?
"""
PAGE = 1000

DELETE_RESULTS = "DELETE FROM codeimportresult WHERE code_import = ? RETURNING log_file"
DELETE_IMPORT = "DELETE FROM codeimport WHERE id = ?"


@implementer(ICodeImport)
class CodeImport(Storm):
    """See `ICodeImport`."""

    __storm_table__ = "codeimport"

    id: int = Int(primary=True)
    date_created: Any = UTCDateTime(allow_none=False, default=DEFAULT)
    git_repository_id = Int(name="git_repository", allow_none=False)
    git_repository = Reference(git_repository_id, "GitRepository.id")
    registrant_id = Int(name="registrant", allow_none=False)
    registrant = Reference(registrant_id, "Person.id")
    owner_id = Int(name="owner", allow_none=False)
    owner = Reference(owner_id, "Person.id")
    assignee_id = Int(name="assignee")
    assignee = Reference(assignee_id, "Person.id")
    review_status = DBEnum(enum=CodeImportReviewStatus, allow_none=False)
    rcs_type = DBEnum(enum=RevisionControlSystems, allow_none=False)
    url = Unicode()
    cvs_root = Unicode()
    cvs_module = Unicode()
    date_last_successful: Any = UTCDateTime()
    update_interval = TimeDelta()
    source_state = Unicode(allow_none=False)

    @property
    def target(self) -> Any:
        """See `ICodeImport`."""
        return self.git_repository

    @property
    def target_rcs_type(self) -> Any:
        """See `ICodeImport`."""
        return TargetRevisionControlSystems.GIT

    @property
    def import_job(self) -> ICodeImportJob | None:
        """See `ICodeImport`."""
        job: ICodeImportJob | None = getUtility(ICodeImportJobSet).getByCodeImport(self)
        return job

    @property
    def results(self) -> Any:
        """See `ICodeImport`."""
        return getUtility(ICodeImportResultSet).getResultsForCodeImport(self)

    @property
    def effective_update_interval(self) -> timedelta:
        """See `ICodeImport`."""
        if self.update_interval is not None:
            interval: timedelta = self.update_interval
            return interval
        key = DEFAULT_INTERVAL_KEYS[self.rcs_type]
        return timedelta(seconds=getattr(config.codeimport, key))

    @property
    def consecutive_failure_count(self) -> int:
        """See `ICodeImport`."""
        successes = [status.value for status in CodeImportResultStatus.successes]
        values = (self.id, self.id, *successes)
        [count] = IStore(self).execute(COUNT_FAILURES, values).get_one()
        return int(count)

    def getImportDetailsForDisplay(self) -> str:
        """See `ICodeImport`."""
        return describe_source(Source(self.url, self.cvs_root, self.cvs_module))

    def updateFromData(self, data: Mapping[str, Any], user: Any) -> Any:
        """See `ICodeImport`."""
        for name in data:
            if name not in CHANGEABLE:
                raise InvalidArgument(f"The attribute {name} of an import cannot be changed.")
        lock_import_with_job(IStore(self), self.id)
        events = getUtility(ICodeImportEventSet)
        token = events.beginModify(self)
        values = dict(data)
        if "update_interval" in values:
            check_update_interval(values["update_interval"])
        self._change_source(values)
        for name, value in values.items():
            setattr(self, name, value)
        IStore(self).flush()
        if "review_status" in data:
            self._follow_review_status()
        return events.newModify(self, user, token)

    def updateURL(self, new_url: str, user: Any) -> Any:
        """See `ICodeImport`."""
        return None if new_url == self.url else self.updateFromData({"url": new_url}, user)

    def requestImport(self, requester: Any, error_if_already_requested: bool = False) -> None:
        """See `ICodeImport`."""
        # Raises that there is none, if it has been deleted.
        getUtility(ICodeImportSet).get(self.id)
        unique_name = self.target.unique_name
        job = self.import_job
        if job is None:
            raise CodeImportNotInReviewedState(unique_name, self.review_status.name)
        try:
            getUtility(ICodeImportJobWorkflow).requestJob(job, requester)
        except (JobNotPending, NoSuchCodeImportJob):
            raise CodeImportAlreadyRunning(unique_name) from None
        except CodeImportAlreadyRequested:
            if error_if_already_requested:
                raise

    def tryFailingImportAgain(self, user: Any) -> None:
        """See `ICodeImport`."""
        lock_import_with_job(IStore(self), self.id)
        if self.review_status != CodeImportReviewStatus.FAILING:
            raise CodeImportNotFailing(self.target.unique_name, self.review_status.name)
        self.updateFromData({"review_status": REVIEWED}, user)
        job = self.import_job
        # A run that was going on when the import was set aside is try enough.
        if job is not None and job.state == CodeImportJobState.PENDING:
            self.requestImport(user)

    def _change_source(self, values: dict[str, Any]) -> None:
        """Take what says where the source is out of `values`, check it, and set it."""
        present = {name: getattr(self, name) for name in SOURCE_COLUMNS}
        wanted = present | {name: values.pop(name) for name in SOURCE_COLUMNS if name in values}
        if wanted == present:
            return
        source = check_new_source(self.rcs_type, **wanted, allow_local=False)
        if source == Source(**present):
            return
        store = IStore(self)
        # A statement of the store's writes what has been set: first this, then the values.
        store.execute("SAVEPOINT change_source", noresult=True)
        self.url, self.cvs_root, self.cvs_module = source.url, source.cvs_root, source.cvs_module
        self.source_state = ""
        try:
            store.flush()
        except UniqueViolation:
            store.execute("ROLLBACK TO SAVEPOINT change_source", noresult=True)
            raise self._source_taken(source) from None
        store.execute("RELEASE SAVEPOINT change_source", noresult=True)
        self.target.source = describe_source(source)

    def _source_taken(self, source: Source) -> SourceTaken:
        """Return the error that another import has a source."""
        IStore(self).invalidate(self)
        other = getUtility(ICodeImportSet).getBySource(source)
        return SourceTaken(
            describe_source(source), other.target.unique_name if other else "another target"
        )

    def _follow_review_status(self) -> None:
        """Make or delete the job, as the review status demands."""
        workflow, job = getUtility(ICodeImportJobWorkflow), self.import_job
        if self.review_status == REVIEWED:
            if job is None:
                workflow.newJob(self)
        elif job is not None and job.state == CodeImportJobState.PENDING:
            workflow.deletePendingJob(self)


@implementer(ICodeImportSet)
class CodeImportSet:
    """See `ICodeImportSet`."""

    def new(
        self,
        registrant: Any,
        target: str,
        rcs_type: Any,
        url: str | None = None,
        cvs_root: str | None = None,
        cvs_module: str | None = None,
        review_status: Any = None,
        owner: Any = None,
        allow_local: bool = False,
    ) -> CodeImport:
        """See `ICodeImportSet`."""
        source = check_new_source(
            rcs_type, url=url, cvs_root=cvs_root, cvs_module=cvs_module, allow_local=allow_local
        )
        self._refuse_taken_source(source)
        repository = getUtility(IGitRepositorySet).ensure(
            registrant, target, describe_source(source)
        )
        store, status = IStore(CodeImport), review_status or REVIEWED
        values = (
            repository.id,
            registrant.id,
            (owner or registrant).id,
            status.value,
            rcs_type.value,
            source.url,
            source.cvs_root,
            source.cvs_module,
        )
        inserted = store.execute(INSERT_IMPORT, values).get_one()
        if inserted is None:
            # Somebody else was faster since we looked.
            self._refuse_taken_source(source)
            raise TargetTaken(target, repository.source)
        code_import = self.get(inserted[0])
        getUtility(ICodeImportEventSet).newCreate(code_import, registrant)
        if status == REVIEWED:
            getUtility(ICodeImportJobWorkflow).newJob(code_import)
        return code_import

    def get(self, id: int) -> CodeImport:
        """See `ICodeImportSet`."""
        code_import: CodeImport | None = self._find(id=id).one()
        if code_import is None:
            raise NoSuchCodeImport(id)
        return code_import

    def getByGitRepository(self, repository: Any) -> CodeImport | None:
        """See `ICodeImportSet`."""
        code_import: CodeImport | None = self._find(git_repository_id=repository.id).one()
        return code_import

    def getByTargetName(self, unique_name: str) -> CodeImport | None:
        """See `ICodeImportSet`."""
        repository = getUtility(IGitRepositorySet).getByUniqueName(unique_name)
        return None if repository is None else self.getByGitRepository(repository)

    def getBySource(self, source: Source) -> CodeImport | None:
        """See `ICodeImportSet`."""
        if source.url is not None:
            found = self._find(url=source.url)
        else:
            found = self._find(cvs_root=source.cvs_root, cvs_module=source.cvs_module)
        code_import: CodeImport | None = found.one()
        return code_import

    def search(self, review_status: Any = None, rcs_type: Any = None) -> Any:
        """See `ICodeImportSet`."""
        filters = {"review_status": review_status, "rcs_type": rcs_type}
        wanted = {name: value for name, value in filters.items() if value is not None}
        return self._find(**wanted).order_by(CodeImport.id)

    def summarize(self) -> Iterator[CodeImportSummary]:
        """See `ICodeImportSet`."""
        last = ""
        while rows := list(IStore(CodeImport).execute(SUMMARIES, (last, PAGE))):
            yield from map(make_summary, rows)
            last = rows[-1][-1]

    def delete(self, code_import: Any, user: Any = None) -> None:
        """See `ICodeImportSet`."""
        store, import_id = IStore(CodeImport), code_import.id
        getUtility(ICodeImportJobWorkflow).endJobOfDeletedImport(code_import)
        getUtility(ICodeImportEventSet).newDelete(code_import, user)
        logs = [row[0] for row in store.execute(DELETE_RESULTS, (import_id,)) if row[0]]
        if logs:
            getUtility(ILogStore).delete(logs)
        store.execute(DELETE_IMPORT, (import_id,), noresult=True)
        store.invalidate()

    def _find(self, **conditions: Any) -> Any:
        """Return the imports that meet some conditions."""
        return IStore(CodeImport).find(CodeImport, **conditions)

    def _refuse_taken_source(self, source: Source) -> None:
        """Raise if a source is imported already."""
        other = self.getBySource(source)
        if other is not None:
            raise SourceTaken(describe_source(source), other.target.unique_name)


def check_new_source(
    rcs_type: Any,
    *,
    url: str | None,
    cvs_root: str | None,
    cvs_module: str | None,
    allow_local: bool,
) -> Source:
    """Return a source in its normal form, if the policy and the configuration allow it."""
    hosts = [host.strip() for host in config.codehosting.blacklisted_hostnames.split(",")]
    return check_source(
        rcs_type,
        url,
        cvs_root,
        cvs_module,
        allow_local=allow_local or config.codeimport.allow_local_sources,
        refused_hosts=[config.vhost.mainsite.hostname, *hosts],
    )


def describe_source(source: Source) -> str:
    """Return a source in words."""
    return source.url if source.url is not None else f"{source.cvs_root} {source.cvs_module}"


def make_summary(row: tuple[Any, ...]) -> CodeImportSummary:
    """Return a row of `SUMMARIES` as a summary."""
    target, source, rcs_type, review_status, state, date_due, status, date_finished, _ = row
    return CodeImportSummary(
        target=target,
        source=source,
        rcs_type=RevisionControlSystems.items[rcs_type],
        review_status=CodeImportReviewStatus.items[review_status],
        job_state=None if state is None else CodeImportJobState.items[state],
        date_due=date_due,
        last_status=None if status is None else CodeImportResultStatus.items[status],
        date_last_finished=date_finished,
    )
