"""The workflow of jobs: what each transition does, and when it is refused."""

import logging
from datetime import timedelta

import transaction
from zope.component import getUtility

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
    NoSuchCodeImport,
    NoSuchCodeImportJob,
)
from lp.services.database.stores import main_store
from lp.services.logstore.interfaces import ILogStore
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
STALE = timedelta(seconds=301)


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


class TestFinishJob(DomainTestCase):
    """See `ICodeImportJobWorkflow.finishJob`."""

    def finish(self, job, status=SUCCESS, log=None, source_state=""):
        """Finish a job, and return its import."""
        code_import = job.code_import
        self.workflow.finishJob(job, status, log, source_state)
        return code_import

    def test_finishJob_result(self):
        # The result has everything of the run.
        job, person = self.factory.makePendingJob(), self.factory.makePerson()
        self.workflow.requestJob(job, person)
        machine, job_id = self.factory.makeMachine(), job.id
        self.workflow.startJob(job, machine)
        self.workflow.updateHeartbeat(job, "last words")
        self.factory.letTimePass(HOUR)
        log = getUtility(ILogStore).create("a.log", b"output")
        result = self.finish(job, SUCCESS, log).results.first()
        self.assertEqual((machine, person), (result.machine, result.requesting_user))
        self.assertEqual(("last words", log), (result.log_excerpt, result.log_file))
        self.assertEqual((SUCCESS, HOUR), (result.status, result.job_duration))
        self.assertEqual((self.now(), job_id), (result.date_job_finished, result.job_id))
        self.assertEqual(result.date_job_finished, result.date_created)

    def test_finishJob_every_status(self):
        # Any status ends the job, and the next one waits: one job, one result.
        for status in CodeImportResultStatus.items:
            job = self.factory.makeRunningJob()
            job_id, machine = job.id, job.machine
            code_import = self.finish(job, status)
            self.assertIsNone(self.jobs.getById(job_id))
            self.assertEqual([status], [result.status for result in code_import.results])
            successor = code_import.import_job
            self.assertEqual((PENDING, None), (successor.state, successor.requesting_user))
            self.assertGreater(successor.id, job_id)
            self.assertEqual(0, machine.running)

    def test_finishJob_due_after_success(self):
        # The next run is due an interval after the start of this one.
        job = self.factory.makeRunningJob()
        self.factory.letTimePass(HOUR)
        self.assert_due_in(5 * HOUR, self.finish(job).import_job)

    def test_finishJob_due_by_last_run(self):
        # Of several runs, the last one counts.
        code_import = self.factory.makeResult().code_import
        self.factory.letTimePass(4 * HOUR)
        job = self.factory.makeRunningJob(code_import)
        self.factory.letTimePass(HOUR)
        self.assert_due_in(5 * HOUR, self.finish(job).import_job)

    def test_finishJob_due_after_long_run(self):
        # A run that took longer than the interval is followed by the next at once.
        job = self.factory.makeRunningJob()
        self.factory.letTimePass(30 * HOUR)
        self.assert_due_in(timedelta(0), self.finish(job).import_job)

    def test_finishJob_due_by_own_interval(self):
        # The import's own interval counts.
        job = self.factory.makeRunningJob()
        job.code_import.updateFromData({"update_interval": 48 * HOUR}, None)
        self.assert_due_in(48 * HOUR, self.finish(job).import_job)

    def test_finishJob_due_after_partial_success(self):
        # More is waiting: the next run is due at once.
        code_import = self.finish(self.factory.makeRunningJob(), SUCCESS_PARTIAL)
        self.assert_due_in(timedelta(0), code_import.import_job)
        self.assertIsNone(code_import.date_last_successful)

    def test_finishJob_due_after_failures(self):
        # Each failure in a row doubles the wait, and the fifth ends it.
        code_import, machine = self.factory.makeCodeImport(), self.factory.makeMachine()
        for hours in (6, 12, 24, 48):
            self.workflow.startJob(code_import.import_job, machine)
            self.finish(code_import.import_job, FAILURE)
            self.assert_due_in(hours * HOUR, code_import.import_job)
            self.assertEqual(REVIEWED, code_import.review_status)
        self.workflow.startJob(code_import.import_job, machine)
        self.finish(code_import.import_job, FAILURE)
        self.assertEqual((FAILING, None), (code_import.review_status, code_import.import_job))

    def test_finishJob_success_forgives(self):
        # After a success the wait is the interval again.
        job = self.factory.makeRunningJob(previous_failures=4)
        self.assert_due_in(6 * HOUR, self.finish(job).import_job)

    def test_finishJob_partial_success_forgives(self):
        # A partial success is one.
        job = self.factory.makeRunningJob(previous_failures=4)
        code_import = self.finish(job, SUCCESS_PARTIAL)
        self.assertEqual(
            (REVIEWED, 0), (code_import.review_status, code_import.consecutive_failure_count)
        )

    def test_finishJob_limit_is_configured(self):
        # The limit is read at the finish.
        self.push_config("codeimport", consecutive_failure_limit=1)
        code_import = self.finish(self.factory.makeRunningJob(), FAILURE)
        self.assertEqual(FAILING, code_import.review_status)

    def test_finishJob_limit_zero(self):
        # Even where no failure at all is borne, a success is none.
        self.push_config("codeimport", consecutive_failure_limit=0)
        self.assertEqual(REVIEWED, self.finish(self.factory.makeRunningJob()).review_status)

    def test_finishJob_set_aside_events(self):
        # First the change, by nobody, then the finish.
        job = self.factory.makeRunningJob(previous_failures=4)
        code_import = self.finish(job, FAILURE)
        self.assertEqual(["MODIFY", "FINISH"], self.event_names(code_import)[-2:])
        modify = list(self.events.getEventsForCodeImport(code_import))[-2]
        self.assertIsNone(modify.person)
        self.assertEqual("FAILING", self.data_of(modify)["REVIEW_STATUS"])
        self.assertEqual("REVIEWED", self.data_of(modify)["OLD_REVIEW_STATUS"])

    def test_finishJob_event(self):
        # The event tells of import and machine, and of nothing else.
        job = self.factory.makeRunningJob()
        machine, code_import = job.machine, self.finish(job)
        event = self.last_event()
        self.assertEqual(("FINISH", []), (event.event_type.name, event.items()))
        self.assertEqual((code_import, machine), (event.code_import, event.machine))

    def test_finishJob_of_import_set_aside_by_a_person(self):
        # What a person has suspended or found invalid stays so, and gets no successor.
        for status in (SUSPENDED, INVALID):
            for result, failures in ((SUCCESS, 0), (FAILURE, 4)):
                job = self.factory.makeRunningJob(previous_failures=failures)
                job.code_import.updateFromData({"review_status": status}, None)
                code_import = self.finish(job, result)
                self.assertEqual(status, code_import.review_status)
                self.assertIsNone(code_import.import_job)
                self.assertEqual("FINISH", self.event_names(code_import)[-1])

    def test_finishJob_date_last_successful(self):
        # The target agrees with the source after a success with or without changes.
        for status in CodeImportResultStatus.items:
            code_import = self.finish(self.factory.makeRunningJob(), status)
            agrees = status in (SUCCESS, SUCCESS_NOCHANGE)
            self.assertEqual(
                self.now() if agrees else None, code_import.date_last_successful, status
            )

    def test_finishJob_failure_keeps_date_last_successful(self):
        # A failure does not undo an earlier success.
        code_import = self.factory.makeResult().code_import
        self.factory.letTimePass(HOUR)
        self.workflow.startJob(code_import.import_job, self.factory.makeMachine())
        self.finish(code_import.import_job, FAILURE)
        self.assertEqual(self.now() - HOUR, code_import.date_last_successful)

    def test_finishJob_source_state(self):
        # The fingerprint is kept only while the target agrees with the source.
        for status in CodeImportResultStatus.items:
            code_import = self.finish(self.factory.makeRunningJob(), status, None, "abc\0")
            agrees = status in (SUCCESS, SUCCESS_NOCHANGE)
            self.assertEqual("abc\ufffd" if agrees else "", code_import.source_state, status)

    def test_finishJob_forgets_source_state(self):
        # After a failure the old fingerprint says nothing any more.
        code_import = self.finish(self.factory.makeRunningJob(), SUCCESS, None, "abc")
        self.workflow.startJob(code_import.import_job, self.factory.makeMachine())
        self.finish(code_import.import_job, FAILURE, None, "abc")
        self.assertEqual("", code_import.source_state)

    def test_finishJob_pending(self):
        # What does not run cannot finish.
        job = self.factory.makePendingJob()
        with self.assertRaises(JobNotRunning):
            self.workflow.finishJob(job, SUCCESS, None)
        self.assertEqual(0, self.count("codeimportresult"))

    def test_finishJob_twice(self):
        # A job finishes once.
        job = self.factory.makeRunningJob()
        self.finish(job)
        with self.assertRaises(NoSuchCodeImportJob):
            self.workflow.finishJob(job, SUCCESS, None)
        self.assertEqual(1, self.count("codeimportresult"))
        self.assert_counters_right()

    def test_finishJob_with_low_counter(self):
        # A counter that is wrong must not keep a job from ending.
        job = self.factory.makeRunningJob()
        machine = job.machine
        main_store().execute("UPDATE codeimportmachine SET running = 0")
        self.finish(job)
        self.assertEqual(0, machine.running)


class TestReclaimJob(DomainTestCase):
    """See `ICodeImportJobWorkflow.reclaimJob`."""

    def make_stale_job(self, **values):
        """Return a RUNNING job that nobody has heard of for too long."""
        job = self.factory.makeRunningJob(**values)
        self.factory.letTimePass(STALE)
        return job

    def test_reclaimJob_result(self):
        # The result has the last words, and no log.
        job = self.factory.makeRunningJob()
        self.workflow.updateHeartbeat(job, "last words")
        self.factory.letTimePass(STALE)
        code_import, machine, job_id = job.code_import, job.machine, job.id
        self.workflow.reclaimJob(job)
        result = code_import.results.first()
        self.assertEqual((RECLAIMED, machine), (result.status, result.machine))
        self.assertEqual(("last words", None), (result.log_excerpt, result.log_file))
        self.assertEqual((job_id, STALE), (result.job_id, result.job_duration))
        self.assertEqual(0, machine.running)

    def test_reclaimJob_successor(self):
        # The next job is due at once.
        job = self.make_stale_job()
        code_import = job.code_import
        self.workflow.reclaimJob(job)
        self.assertEqual(PENDING, code_import.import_job.state)
        self.assert_due_in(timedelta(0), code_import.import_job)

    def test_reclaimJob_keeps_requester(self):
        # Who asked for a run that was lost still gets one.
        job, person = self.factory.makePendingJob(), self.factory.makePerson()
        self.workflow.requestJob(job, person)
        self.workflow.startJob(job, self.factory.makeMachine())
        self.factory.letTimePass(STALE)
        code_import = job.code_import
        self.workflow.reclaimJob(job)
        self.assertEqual(person, code_import.import_job.requesting_user)
        self.assertEqual(person, code_import.results.first().requesting_user)

    def test_reclaimJob_event(self):
        # The event has the lost job's id, by which logs can be searched.
        job = self.make_stale_job()
        code_import, machine, job_id = job.code_import, job.machine, job.id
        self.workflow.reclaimJob(job)
        event = self.last_event()
        self.assertEqual("RECLAIM", event.event_type.name)
        self.assertEqual((code_import, machine), (event.code_import, event.machine))
        self.assertEqual({"RECLAIMED_JOB_ID": str(job_id)}, self.data_of(event))

    def test_reclaimJob_not_reviewed(self):
        # An import that is suspended gets no successor.
        job = self.make_stale_job()
        code_import = job.code_import
        code_import.updateFromData({"review_status": SUSPENDED}, None)
        self.workflow.reclaimJob(job)
        self.assertEqual((SUSPENDED, None), (code_import.review_status, code_import.import_job))

    def test_reclaimJob_never_sets_aside(self):
        # A machine that falls silent does not make an import FAILING.
        job = self.make_stale_job(previous_failures=4)
        code_import = job.code_import
        self.workflow.reclaimJob(job)
        self.assertEqual(REVIEWED, code_import.review_status)
        self.assert_due_in(timedelta(0), code_import.import_job)

    def test_reclaimJob_forgets_source_state(self):
        # Nobody knows what the lost run has done.
        code_import = self.factory.makeCodeImport()
        job = self.factory.makeRunningJob(code_import)
        self.workflow.finishJob(job, SUCCESS, None, "abc")
        job = self.make_stale_job(code_import=code_import)
        self.workflow.reclaimJob(job)
        self.assertEqual("", code_import.source_state)

    def test_reclaimJob_not_stale(self):
        # A job that was heard of lately stays.
        job = self.factory.makeRunningJob()
        self.factory.letTimePass(timedelta(seconds=300))
        with self.assertRaises(JobNotStale):
            self.workflow.reclaimJob(job)
        self.assertEqual((RUNNING, 1), (job.state, job.machine.running))
        self.assertEqual(0, self.count("codeimportresult"))

    def test_reclaimJob_pending(self):
        # What does not run cannot be lost.
        with self.assertRaises(JobNotRunning):
            self.workflow.reclaimJob(self.factory.makePendingJob())

    def test_reclaimJob_gone(self):
        # A job is lost once.
        job = self.make_stale_job()
        self.workflow.reclaimJob(job)
        with self.assertRaises(NoSuchCodeImportJob):
            self.workflow.reclaimJob(job)
        self.assertEqual(1, self.count("codeimportresult"))


class TestEndJobOfDeletedImport(DomainTestCase):
    """See `ICodeImportJobWorkflow.endJobOfDeletedImport`."""

    def test_endJobOfDeletedImport_without_job(self):
        # Where there is no job there is nothing to do.
        code_import = self.factory.makeCodeImport(review_status=SUSPENDED)
        self.workflow.endJobOfDeletedImport(code_import)
        self.assertEqual(SUSPENDED, code_import.review_status)

    def test_endJobOfDeletedImport_of_deleted_import(self):
        # An import that is gone has no job to end.
        code_import = self.factory.makeCodeImport()
        self.imports.delete(code_import)
        with self.assertRaises(NoSuchCodeImport):
            self.workflow.endJobOfDeletedImport(code_import)


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
