"""The workflow of jobs: how they end."""

from datetime import timedelta

from zope.component import getUtility

from lp.code.enums import (
    CodeImportJobState,
    CodeImportResultStatus,
    CodeImportReviewStatus,
)
from lp.code.errors import (
    JobNotRunning,
    JobNotStale,
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
