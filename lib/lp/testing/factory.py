"""Makes objects for tests, through the interfaces that everybody uses."""

__all__ = ["ObjectFactory"]

import itertools
from datetime import timedelta
from typing import Any

from storm.store import Store
from zope.component import getUtility

from lp.code.enums import (
    CodeImportMachineState,
    CodeImportResultStatus,
    CodeImportReviewStatus,
    RevisionControlSystems,
)
from lp.code.interfaces.codeimport import ICodeImportSet
from lp.code.interfaces.codeimportjob import ICodeImportJobWorkflow
from lp.code.interfaces.codeimportmachine import ICodeImportMachineSet
from lp.registry.interfaces.person import IPersonSet
from lp.services.database.stores import main_store

TIMESTAMP_COLUMNS = """
    SELECT table_name, string_agg(format('%I = %I - $1::interval', column_name, column_name), ', ')
      FROM information_schema.columns
     WHERE table_schema = 'public' AND data_type = 'timestamp with time zone'
     GROUP BY table_name
"""


class ObjectFactory:
    """Makes objects; what a test does not name is made up, and different each time."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def getUniqueString(self, prefix: str) -> str:
        """Return a text that this factory has not returned before."""
        return f"{prefix}-{next(self._numbers)}"

    def makePerson(self, name: str | None = None) -> Any:
        """Make a person."""
        return getUtility(IPersonSet).ensure(name or self.getUniqueString("person"))

    def makeMachine(
        self,
        hostname: str | None = None,
        state: Any = CodeImportMachineState.ONLINE,
        worker_limit: int | None = None,
    ) -> Any:
        """Make a machine; with a worker limit, one that has asked for work with it."""
        machine = getUtility(ICodeImportMachineSet).new(
            hostname or self.getUniqueString("machine"), CodeImportMachineState.ONLINE
        )
        if worker_limit is not None:
            machine.shouldLookForJob(worker_limit)
        if state == CodeImportMachineState.QUIESCING:
            machine.setQuiescing(self.makePerson())
        elif state == CodeImportMachineState.OFFLINE:
            from lp.code.enums import CodeImportMachineOfflineReason

            machine.setOffline(CodeImportMachineOfflineReason.STOPPED)
        return machine

    def makeCodeImport(
        self,
        target: str | None = None,
        url: str | None = None,
        rcs_type: Any = RevisionControlSystems.GIT,
        review_status: Any = None,
        **values: Any,
    ) -> Any:
        """Make an import; unless another status is given it is REVIEWED, with a due job."""
        name = self.getUniqueString("project")
        if rcs_type == RevisionControlSystems.CVS:
            values.setdefault("cvs_root", ":pserver:anonymous@cvs.example.org:/cvs")
            values.setdefault("cvs_module", name)
        else:
            url = url or f"https://vcs.example.org/{name}"
        return getUtility(ICodeImportSet).new(
            values.pop("registrant", None) or self.makePerson(),
            target or f"example/{name}",
            rcs_type,
            url=url,
            review_status=review_status,
            **values,
        )

    def makePendingJob(self, code_import: Any = None) -> Any:
        """Return the due PENDING job of an import, made now if none is given."""
        return (code_import or self.makeCodeImport()).import_job

    def makeRunningJob(
        self, code_import: Any = None, machine: Any = None, previous_failures: int = 0
    ) -> Any:
        """Return a RUNNING job, of an import that has failed so many times in a row."""
        code_import = code_import or self.makeCodeImport()
        machine = machine or self.makeMachine()
        workflow = getUtility(ICodeImportJobWorkflow)
        for _ in range(previous_failures):
            workflow.startJob(code_import.import_job, machine)
            workflow.finishJob(code_import.import_job, CodeImportResultStatus.FAILURE, None)
        workflow.startJob(code_import.import_job, machine)
        return code_import.import_job

    def makeResult(
        self, code_import: Any = None, status: Any = CodeImportResultStatus.SUCCESS, **run: Any
    ) -> Any:
        """Return the result of a run that ended just now."""
        job = self.makeRunningJob(code_import, **run)
        code_import = job.code_import
        getUtility(ICodeImportJobWorkflow).finishJob(job, status, None)
        return code_import.results.first()

    def makeFailingImport(self) -> Any:
        """Return an import that failed until it was set aside."""
        code_import, machine = self.makeCodeImport(), self.makeMachine()
        while code_import.review_status != CodeImportReviewStatus.FAILING:
            self.makeResult(code_import, CodeImportResultStatus.FAILURE, machine=machine)
        return code_import

    def letTimePass(self, interval: timedelta) -> None:
        """Make everything in the database older, as if so much time had passed since.

        :param interval: How much older.
        """
        store: Store = main_store()
        store.flush()
        for table, columns in list(store.execute(TIMESTAMP_COLUMNS)):
            assignments = columns.replace("$1", "?")
            values = (interval,) * assignments.count("?")
            store.execute(f"UPDATE {table} SET {assignments}", values, noresult=True)  # noqa: S608
        store.invalidate()
