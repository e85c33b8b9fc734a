"""The workflow of jobs: how they begin, and when that is refused."""

import logging
from datetime import timedelta

import transaction

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
    MachineFull,
    MachineStateRefused,
    NoSuchCodeImportJob,
)
from lp.services.database.stores import main_store
from tests.integration.domain import DomainTestCase

FAILING = CodeImportReviewStatus.FAILING
INVALID = CodeImportReviewStatus.INVALID
REVIEWED = CodeImportReviewStatus.REVIEWED
SUSPENDED = CodeImportReviewStatus.SUSPENDED
PENDING = CodeImportJobState.PENDING
RUNNING = CodeImportJobState.RUNNING
FAILURE = CodeImportResultStatus.FAILURE
RECLAIMED = CodeImportResultStatus.RECLAIMED
SUCCESS = CodeImportResultStatus.SUCCESS
SUCCESS_NOCHANGE = CodeImportResultStatus.SUCCESS_NOCHANGE
SUCCESS_PARTIAL = CodeImportResultStatus.SUCCESS_PARTIAL

HOUR = timedelta(hours=1)


class TestNewJob(DomainTestCase):
    """See `ICodeImportJobWorkflow.newJob`."""

    def make_import_without_job(self, status=REVIEWED):
        """Return an import whose job has vanished."""
        code_import = self.factory.makeCodeImport()
        main_store().execute("DELETE FROM codeimportjob")
        main_store().execute("UPDATE codeimport SET review_status = ?", (status.value,))
        main_store().invalidate()
        return code_import

    def test_newJob(self):
        # An import that has never run is due at once, whatever the interval.
        job = self.workflow.newJob(self.make_import_without_job(), timedelta(days=3))
        self.assertEqual((PENDING, None), (job.state, job.requesting_user))
        self.assert_due_in(timedelta(0), job)

    def test_newJob_counts_from_start_of_last_run(self):
        # The interval counts from the start of the last run, not from its end.
        job = self.factory.makeRunningJob()
        code_import = job.code_import
        self.factory.letTimePass(HOUR)
        self.workflow.finishJob(job, SUCCESS, None)
        main_store().execute("DELETE FROM codeimportjob")
        self.assert_due_in(5 * HOUR, self.workflow.newJob(code_import))

    def test_newJob_with_interval(self):
        # A given interval takes the place of the import's.
        code_import = self.make_import_without_job()
        self.workflow.newJob(code_import)
        self.factory.makeResult(code_import)
        main_store().execute("DELETE FROM codeimportjob")
        self.assert_due_in(2 * HOUR, self.workflow.newJob(code_import, 2 * HOUR))

    def test_newJob_never_before_now(self):
        # What should have run long ago is due now.
        code_import = self.factory.makeResult().code_import
        main_store().execute("DELETE FROM codeimportjob")
        self.factory.letTimePass(100 * HOUR)
        self.assert_due_in(timedelta(0), self.workflow.newJob(code_import))

    def test_newJob_not_reviewed(self):
        # Only what is REVIEWED is run.
        for status in CodeImportReviewStatus.items:
            if status == REVIEWED:
                continue
            code_import = self.make_import_without_job(status)
            with self.assertRaisesRegex(CodeImportNotInReviewedState, status.name):
                self.workflow.newJob(code_import)

    def test_newJob_second(self):
        # An import has one job.
        with self.assertRaises(CodeImportJobPresent):
            self.workflow.newJob(self.factory.makeCodeImport())
        self.assertEqual(1, self.count("codeimportjob"))

    def test_newJob_is_no_event(self):
        # Jobs come by themselves.
        self.workflow.newJob(self.make_import_without_job())
        self.assertEqual(["CREATE"], self.event_names())


class TestDeletePendingJob(DomainTestCase):
    """See `ICodeImportJobWorkflow.deletePendingJob`."""

    def set_status(self, code_import, status=SUSPENDED):
        """Change an import's status behind everybody's back."""
        statement = "UPDATE codeimport SET review_status = ? WHERE id = ?"
        main_store().execute(statement, (status.value, code_import.id))
        main_store().invalidate()

    def test_deletePendingJob(self):
        # The job goes without an event of its own.
        code_import = self.factory.makeCodeImport()
        self.set_status(code_import)
        self.workflow.deletePendingJob(code_import)
        self.assertIsNone(code_import.import_job)
        self.assertEqual(["CREATE"], self.event_names())

    def test_deletePendingJob_reviewed(self):
        # What is approved keeps its job.
        code_import = self.factory.makeCodeImport()
        with self.assertRaises(CodeImportJobPresent):
            self.workflow.deletePendingJob(code_import)
        self.assertIsNotNone(code_import.import_job)

    def test_deletePendingJob_without_job(self):
        # There must be a job.
        code_import = self.factory.makeCodeImport(review_status=SUSPENDED)
        with self.assertRaises(CodeImportJobMissing):
            self.workflow.deletePendingJob(code_import)

    def test_deletePendingJob_running(self):
        # A job that runs is left alone.
        job = self.factory.makeRunningJob()
        self.set_status(job.code_import)
        with self.assertRaisesRegex(JobNotPending, "is RUNNING, not PENDING"):
            self.workflow.deletePendingJob(job.code_import)
        self.assert_counters_right()


class TestRequestJob(DomainTestCase):
    """See `ICodeImportJobWorkflow.requestJob`."""

    def test_requestJob_future(self):
        # A job of the future is due now.
        code_import, person = self.factory.makeResult().code_import, self.factory.makePerson()
        self.workflow.requestJob(code_import.import_job, person)
        self.assertEqual(person, code_import.import_job.requesting_user)
        self.assert_due_in(timedelta(0), code_import.import_job)

    def test_requestJob_overdue(self):
        # An overdue job keeps its place among those that are requested.
        job = self.factory.makePendingJob()
        self.factory.letTimePass(HOUR)
        self.workflow.requestJob(job, self.factory.makePerson())
        self.assert_due_in(-HOUR, job)

    def test_requestJob_event(self):
        # The event tells who asked.
        job, person = self.factory.makePendingJob(), self.factory.makePerson()
        self.workflow.requestJob(job, person)
        event = self.last_event()
        self.assertEqual(("REQUEST", person), (event.event_type.name, event.person))
        self.assertEqual({"CODE_IMPORT": str(job.code_import.id)}, self.data_of(event))

    def test_requestJob_twice(self):
        # The second request is refused, and names the first.
        job, person = self.factory.makePendingJob(), self.factory.makePerson("ann")
        self.workflow.requestJob(job, person)
        with self.assertRaisesRegex(CodeImportAlreadyRequested, "already by ann") as caught:
            self.workflow.requestJob(job, self.factory.makePerson())
        self.assertEqual(person, caught.exception.requesting_user)
        self.assertEqual(person, job.requesting_user)

    def test_requestJob_running(self):
        # What runs cannot be requested.
        with self.assertRaises(JobNotPending):
            self.workflow.requestJob(self.factory.makeRunningJob(), self.factory.makePerson())

    def test_requestJob_gone(self):
        # Nor what is gone.
        job = self.factory.makePendingJob()
        transaction.commit()
        job_id = job.id
        job.code_import.updateFromData({"review_status": SUSPENDED}, None)
        self.assertIsNone(self.jobs.getById(job_id))
        with self.assertRaises(NoSuchCodeImportJob):
            self.workflow.requestJob(job, self.factory.makePerson())


class TestStartJob(DomainTestCase):
    """See `ICodeImportJobWorkflow.startJob`."""

    def test_startJob(self):
        # The run begins now, with nothing printed yet.
        job, machine = self.factory.makePendingJob(), self.factory.makeMachine()
        self.workflow.startJob(job, machine)
        self.assertEqual((RUNNING, machine, ""), (job.state, job.machine, job.logtail))
        self.assertEqual((self.now(), self.now()), (job.heartbeat, job.date_started))
        self.assertEqual(1, machine.running)

    def test_startJob_event(self):
        # The event tells of import and machine, and of nothing else.
        job = self.factory.makeRunningJob()
        event = self.last_event()
        self.assertEqual("START", event.event_type.name)
        self.assertEqual((job.code_import, job.machine), (event.code_import, event.machine))
        self.assertEqual((None, []), (event.person, event.items()))

    def test_startJob_keeps_requester(self):
        # Who asked is still known while it runs.
        job, person = self.factory.makePendingJob(), self.factory.makePerson()
        self.workflow.requestJob(job, person)
        self.workflow.startJob(job, self.factory.makeMachine())
        self.assertEqual(person, job.requesting_user)

    def test_startJob_running(self):
        # A job runs once.
        job, machine = self.factory.makeRunningJob(), self.factory.makeMachine()
        with self.assertRaises(JobNotPending):
            self.workflow.startJob(job, machine)
        self.assertEqual(0, machine.running)
        self.assert_counters_right()

    def test_startJob_machine_not_online(self):
        # Only a machine that is ONLINE takes a job.
        for state in (CodeImportMachineState.OFFLINE, CodeImportMachineState.QUIESCING):
            job, machine = self.factory.makePendingJob(), self.factory.makeMachine(state=state)
            with self.assertRaisesRegex(MachineStateRefused, f"is {state.name}, and cannot take"):
                self.workflow.startJob(job, machine)
            self.assertEqual((PENDING, 0), (job.state, machine.running))

    def test_startJob_machine_full(self):
        # A machine takes no more than it last said that it can.
        machine = self.factory.makeMachine(worker_limit=1)
        self.factory.makeRunningJob(machine=machine)
        job = self.factory.makePendingJob()
        with self.assertRaises(MachineFull) as caught:
            self.workflow.startJob(job, machine)
        self.assertEqual((1, PENDING), (caught.exception.worker_limit, job.state))

    def test_startJob_before_due(self):
        # Whoever starts a job decides when; only the queue looks at the date.
        job = self.factory.makeResult().code_import.import_job
        self.workflow.startJob(job, self.factory.makeMachine())
        self.assertEqual(RUNNING, job.state)


class TestUpdateHeartbeat(DomainTestCase):
    """See `ICodeImportJobWorkflow.updateHeartbeat`."""

    def test_updateHeartbeat(self):
        # The job was heard of now; its machine's own heartbeat is that of its polls.
        job = self.factory.makeRunningJob()
        self.factory.letTimePass(HOUR)
        self.workflow.updateHeartbeat(job, "line 1\nline 2")
        self.assertEqual((self.now(), "line 1\nline 2"), (job.heartbeat, job.logtail))
        self.assertEqual((-HOUR, None), (job.date_started - self.now(), job.machine.heartbeat))

    def test_updateHeartbeat_strange_text(self):
        # What the database cannot hold is replaced, never fatal.
        job = self.factory.makeRunningJob()
        self.workflow.updateHeartbeat(job, "a\0b\udcffc\x1b[0m\r\n😀")
        self.assertEqual("a\ufffdb\ufffd\ufffd\ufffdc\x1b[0m\r\n😀", job.logtail)

    def test_updateHeartbeat_empty(self):
        # A worker may have said nothing.
        job = self.factory.makeRunningJob()
        self.workflow.updateHeartbeat(job, "line")
        self.workflow.updateHeartbeat(job, "")
        self.assertEqual("", job.logtail)

    def test_updateHeartbeat_is_no_event(self):
        # Living is nothing to write about.
        job = self.factory.makeRunningJob()
        count = self.count("codeimportevent")
        self.workflow.updateHeartbeat(job, "line")
        self.assertEqual(count, self.count("codeimportevent"))

    def test_updateHeartbeat_pending(self):
        # A job that waits has no worker.
        job = self.factory.makePendingJob()
        with self.assertRaisesRegex(JobNotRunning, "is PENDING, not RUNNING"):
            self.workflow.updateHeartbeat(job, "line")
        self.assertIsNone(job.heartbeat)

    def test_updateHeartbeat_gone(self):
        # The worker of a job that is gone should stop.
        job = self.factory.makeRunningJob()
        self.workflow.finishJob(job, SUCCESS, None)
        with self.assertRaises(NoSuchCodeImportJob):
            self.workflow.updateHeartbeat(job, "line")


class TestLog(DomainTestCase):
    """What the process says of transitions."""

    def test_transitions_are_logged(self):
        # One line for each claim, finish and reclaim, with ids and names, once it is committed.
        with self.assertLogs("lp.code", logging.INFO) as logs:
            job = self.factory.makeRunningJob()
            job_id, hostname = job.id, job.machine.hostname
            target = job.code_import.target.unique_name
            self.assertEqual([], logs.records)
            transaction.commit()
            self.workflow.finishJob(self.jobs.getById(job_id), FAILURE, None)
            transaction.commit()
        self.assertEqual(["job claimed", "job finished"], [line.msg for line in logs.records])
        for line in logs.records:
            self.assertEqual((job_id, hostname), (line.job_id, line.machine))
            self.assertEqual(target, line.target)
        self.assertEqual("FAILURE", logs.records[1].status)

    def test_undone_transitions_are_not_logged(self):
        # What was undone has not happened.
        with self.assertNoLogs("lp.code", logging.INFO):
            self.factory.makeRunningJob()
            transaction.abort()
            transaction.commit()
