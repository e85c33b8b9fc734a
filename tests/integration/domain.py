"""What the tests of the domain have in common."""

__all__ = ["DomainTestCase"]

from zope.component import getUtility

from lp.code.enums import CodeImportJobState
from lp.code.interfaces.codeimport import ICodeImportSet
from lp.code.interfaces.codeimportevent import ICodeImportEventSet
from lp.code.interfaces.codeimportjob import ICodeImportJobSet, ICodeImportJobWorkflow
from lp.code.interfaces.codeimportmachine import ICodeImportMachineSet
from lp.services.database.stores import main_store
from lp.testing import TestCaseWithFactory


class DomainTestCase(TestCaseWithFactory):
    """A test of the domain, on an empty database.

    The database's clock stands still within a transaction, so that times are exact.
    """

    def setUp(self):
        super().setUp()
        self.imports = getUtility(ICodeImportSet)
        self.events = getUtility(ICodeImportEventSet)
        self.jobs = getUtility(ICodeImportJobSet)
        self.machines = getUtility(ICodeImportMachineSet)
        self.workflow = getUtility(ICodeImportJobWorkflow)

    def now(self):
        """Return the transaction's time."""
        return self.fetch("SELECT CURRENT_TIMESTAMP")

    def fetch(self, statement, *values):
        """Return the one value that a statement gives."""
        [value] = main_store().execute(statement, values).get_one()
        return value

    def count(self, table):
        """Return how many rows a table has."""
        return self.fetch(f"SELECT count(*) FROM {table}")

    def event_names(self, thing=None):
        """Return the types of the events of an import or a machine, or of all, in their order."""
        if thing is None:
            found = self.events.getAll()
        elif hasattr(thing, "hostname"):
            found = reversed(list(thing.events))
        else:
            found = self.events.getEventsForCodeImport(thing)
        return [event.event_type.name for event in found]

    def data_of(self, event):
        """Return an event's data as a dictionary of names and texts."""
        return {data_type.name: value for data_type, value in event.items()}

    def last_event(self):
        """Return the newest event."""
        return list(self.events.getAll())[-1]

    def assert_due_in(self, interval, job):
        """Assert that a job is due so long from now."""
        self.assertEqual(interval, job.date_due - self.now())

    def assert_counters_right(self):
        """Assert that each machine's counter agrees with its jobs."""
        for machine in self.machines.getAll():
            running = [
                job for job in machine.current_jobs if job.state == CodeImportJobState.RUNNING
            ]
            self.assertEqual(len(running), machine.running, machine.hostname)
