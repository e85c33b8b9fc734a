"""The scheduler's view, called directly: what it returns, and what it refuses."""

import threading
import xmlrpc.client
from datetime import timedelta

import transaction
from zope.component import getGlobalSiteManager, getMultiAdapter, getUtility
from zope.interface import implementer

from lp.code.enums import CodeImportJobState, CodeImportResultStatus, CodeImportReviewStatus
from lp.code.interfaces.codeimportscheduler import ICodeImportScheduler
from lp.code.xmlrpc.codeimportscheduler import CodeImportSchedulerAPI
from lp.services.database.stores import close_stores, main_store
from lp.services.database.transactions import run
from lp.services.logstore.interfaces import ILogStore
from lp.services.webapp.servers import LaunchpadTestRequest
from lp.testing import verifyObject
from lp.xmlrpc.interfaces import IPrivateApplication
from tests.integration.domain import DomainTestCase

DATA_KEYS = {"arguments", "target_url", "log_file_name", "blacklisted_hostnames", "source_state"}
SUCCESS = CodeImportResultStatus.SUCCESS


class SchedulerTestCase(DomainTestCase):
    """A test of the view."""

    def setUp(self):
        super().setUp()
        self.context = getUtility(IPrivateApplication).codeimportscheduler
        self.api = CodeImportSchedulerAPI(self.context, LaunchpadTestRequest())

    def assert_fault(self, code, because, answer):
        """Assert that an answer is a fault that says why."""
        self.assertIsInstance(answer, xmlrpc.client.Fault)
        self.assertEqual(code, answer.faultCode, answer.faultString)
        self.assertRegex(answer.faultString, because)


class TestView(SchedulerTestCase):
    """The view as a component."""

    def test_is_the_adapter(self):
        # The view is found by its place, a request and its interface.
        view = getMultiAdapter((self.context, LaunchpadTestRequest()), ICodeImportScheduler)
        self.assertIsInstance(view, CodeImportSchedulerAPI)
        self.assertTrue(verifyObject(ICodeImportScheduler, view))
        self.assertIs(self.context, view.context)


class TestGetJobForMachine(SchedulerTestCase):
    """See `ICodeImportScheduler.getJobForMachine`."""

    def test_getJobForMachine(self):
        # A job's id, or 0.
        job = self.factory.makePendingJob()
        self.assertEqual(job.id, self.api.getJobForMachine("box", 2))
        self.assertEqual(0, self.api.getJobForMachine("box", 2))
        self.assertEqual(CodeImportJobState.RUNNING, job.state)

    def test_getJobForMachine_refusals(self):
        # Each bad argument has its code.
        for code, because, hostname, limit in (
            (364, "has 0 characters", "", 1),
            (364, "has 10000 characters", "x" * 10_000, 1),
            (364, "must be text, not a number", 5, 1),
            (364, "must be text, not nil", None, 1),
            (364, "control character", "a\0b", 1),
            (365, "is -1; it must be from 0 to 10000", "box", -1),
            (365, "is 10001", "box", 10_001),
            (365, "must be a whole number, not a boolean", "box", True),
            (365, "must be a whole number, not text", "box", "1"),
            (365, "must be a whole number, not a double", "box", 1.5),
        ):
            with self.subTest(because):
                self.assert_fault(code, because, self.api.getJobForMachine(hostname, limit))
        self.assertEqual(0, self.count("codeimportmachine"))

    def test_getJobForMachine_unknown_machine(self):
        # Where strangers are refused they are told so.
        self.push_config("codeimportscheduler", unknown_machines="refuse")
        self.assert_fault(367, "is not registered", self.api.getJobForMachine("box", 1))


class TestGetImportDataForJobID(SchedulerTestCase):
    """See `ICodeImportScheduler.getImportDataForJobID`."""

    def test_getImportDataForJobID(self):
        # All that a worker needs.
        self.push_config("vhost.mainsite", hostname="main.example")
        self.push_config("codehosting", blacklisted_hostnames="one.example, two.example")
        job = self.factory.makeRunningJob(self.factory.makeCodeImport("gnome/t+x/y"))
        data = self.api.getImportDataForJobID(job.id)
        self.assertEqual(DATA_KEYS, set(data))
        self.assertEqual(job.makeWorkerArguments(), data["arguments"])
        self.assertEqual("https://main.example/gnome/t+x/y", data["target_url"])
        self.assertEqual("gnome-t+x-y.log", data["log_file_name"])
        self.assertEqual(["one.example", "two.example"], data["blacklisted_hostnames"])
        self.assertEqual("", data["source_state"])

    def test_getImportDataForJobID_source_state(self):
        # The fingerprint that the last run reported.
        job = self.factory.makeRunningJob()
        code_import = job.code_import
        self.assertIsNone(self.api.finishJobID(job.id, "SUCCESS", "", "abc"))
        job = self.factory.makeRunningJob(code_import)
        data = self.api.getImportDataForJobID(job.id)
        self.assertEqual(("abc", []), (data["source_state"], data["blacklisted_hostnames"]))

    def test_getImportDataForJobID_repeated(self):
        # Asking again gives the same answer, and changes nothing.
        job = self.factory.makeRunningJob()
        first = self.api.getImportDataForJobID(job.id)
        self.assertEqual(first, self.api.getImportDataForJobID(job.id))

    def test_getImportDataForJobID_pending(self):
        # A token is made for the machine that has the job, and for nobody before.
        job = self.factory.makePendingJob()
        answer = self.api.getImportDataForJobID(job.id)
        self.assert_fault(361, f"Job {job.id} is PENDING, not RUNNING", answer)

    def test_getImportDataForJobID_unknown(self):
        # A job that never was, in whatever range.
        for job_id in (4711, 0, -1, 2**31, 2**63, 2**200):
            answer = self.api.getImportDataForJobID(job_id)
            self.assert_fault(360, f"^Job {job_id} not found.$", answer)

    def test_getImportDataForJobID_no_number(self):
        # What is no number is a mistake of the caller.
        for job_id in (None, "1", True, 1.0, []):
            answer = self.api.getImportDataForJobID(job_id)
            self.assert_fault(368, "must be a whole number", answer)


class TestUpdateHeartbeat(SchedulerTestCase):
    """See `ICodeImportScheduler.updateHeartbeat`."""

    def test_updateHeartbeat(self):
        # 0 says: go on.
        job = self.factory.makeRunningJob()
        self.assertEqual(0, self.api.updateHeartbeat(job.id, "line"))
        self.assertEqual("line", job.logtail)

    def test_updateHeartbeat_bytes(self):
        # In the same process, and as base64, bytes are output of any kind.
        job = self.factory.makeRunningJob()
        self.assertEqual(0, self.api.updateHeartbeat(job.id, b"a\xff\0"))
        self.assertEqual("a\ufffd\ufffd", job.logtail)

    def test_updateHeartbeat_refusals(self):
        # A job that is gone, one that waits, and arguments that are wrong.
        job = self.factory.makeRunningJob()
        pending = self.factory.makePendingJob()
        self.assert_fault(360, "Job 4711 not found", self.api.updateHeartbeat(4711, ""))
        self.assert_fault(361, "is PENDING", self.api.updateHeartbeat(pending.id, ""))
        for tail in (None, 5, True, ["line"]):
            self.assert_fault(368, "tail must be text", self.api.updateHeartbeat(job.id, tail))
        self.assertEqual("", job.logtail)

    def test_updateHeartbeat_after_reclaim(self):
        # The worker of a job that was taken away learns it here.
        job = self.factory.makeRunningJob()
        job_id = job.id
        self.factory.letTimePass(timedelta(hours=1))
        self.workflow.reclaimJob(job)
        self.assert_fault(360, "not found", self.api.updateHeartbeat(job_id, ""))


class TestFinishJobID(SchedulerTestCase):
    """See `ICodeImportScheduler.finishJobID`."""

    def finish(self, status_name="SUCCESS", log=b"", *more, code_import=None):
        """Finish a new job; return the answer and the result."""
        job = self.factory.makeRunningJob(code_import)
        code_import = job.code_import
        return self.api.finishJobID(job.id, status_name, log, *more), code_import.results.first()

    def test_finishJobID(self):
        # The result, with the status that was named.
        for status in CodeImportResultStatus.items:
            answer, result = self.finish(status.name)
            self.assertEqual((None, status, None), (answer, result.status, result.log_file))

    def test_finishJobID_bytes(self):
        # Names may be bytes in the same process.
        answer, result = self.finish(b"FAILURE")
        self.assertEqual((None, "FAILURE"), (answer, result.status.name))

    def test_finishJobID_log(self):
        # The log is stored under the target's name.
        for log in (b"a\0\xff", xmlrpc.client.Binary(b"a\0\xff")):
            code_import = self.factory.makeCodeImport(self.factory.getUniqueString("a/b"))
            _, result = self.finish("SUCCESS", log, code_import=code_import)
            self.assertEqual(b"a\0\xff", result.log_file.read())
            name = code_import.target.unique_name.replace("/", "-") + ".log"
            self.assertEqual(name, result.log_file.name)

    def test_finishJobID_without_log(self):
        # Nothing in any form is no log.
        for log in (b"", "", None, xmlrpc.client.Binary(b"")):
            _, result = self.finish("SUCCESS", log)
            self.assertIsNone(result.log_file)

    def test_finishJobID_bad_arguments(self):
        # Nothing is written, and the job runs on.
        job = self.factory.makeRunningJob()
        for code, because, arguments in (
            (366, "'GREAT' is not a result status; use one of SUCCESS, ", ("GREAT", b"")),
            (366, "''", ("", b"")),
            (366, "'success'", ("success", b"")),
            (366, "xxx' is not", ("x" * 10_000, b"")),
            (368, "status name must be text", (100, b"")),
            (368, "log must be base64", ("SUCCESS", "https://example.org/log")),
            (368, "log must be base64", ("SUCCESS", 5)),
            (368, "source state must be text", ("SUCCESS", b"log", 5)),
        ):
            with self.subTest(because):
                answer = self.api.finishJobID(job.id, *arguments)
                self.assert_fault(code, because, answer)
                self.assertLess(len(answer.faultString), 400)
        self.assertEqual(CodeImportJobState.RUNNING, job.state)
        self.assertEqual([0, 0], [self.count("codeimportresult"), self.count("logfile")])

    def test_finishJobID_gone_before_bad_status(self):
        # Whether there is a job comes first.
        self.assert_fault(360, "Job 4711 not found", self.api.finishJobID(4711, "GREAT", b""))

    def test_finishJobID_pending(self):
        # A job that waits has not been run.
        job = self.factory.makePendingJob()
        self.assert_fault(361, "is PENDING", self.api.finishJobID(job.id, "SUCCESS", b""))


class TestFinishJobIDAgain(SchedulerTestCase):
    """A finish whose answer was lost, and that is therefore called again."""

    def setUp(self):
        super().setUp()
        job = self.factory.makeRunningJob()
        self.job_id, self.code_import = job.id, job.code_import

    def finish(self, status_name="SUCCESS", log=b"log"):
        """Finish the job."""
        return self.api.finishJobID(self.job_id, status_name, log)

    def test_same_status(self):
        # The answer is that of the first time; nothing is written, the log is dropped.
        self.finish()
        events, successor = self.event_names(), self.code_import.import_job
        self.assertIsNone(self.finish())
        self.assertEqual([1, 1], [self.count("codeimportresult"), self.count("logfile")])
        self.assertEqual((events, successor), (self.event_names(), self.code_import.import_job))
        self.assert_counters_right()

    def test_same_status_while_successor_runs(self):
        # The successor is another job, whatever becomes of it.
        self.finish()
        successor = self.factory.makeRunningJob(self.code_import)
        self.assertIsNone(self.finish())
        self.assertEqual(CodeImportJobState.RUNNING, successor.state)

    def test_other_status(self):
        # Another status is another call.
        self.finish()
        self.assert_fault(360, f"Job {self.job_id} not found", self.finish("FAILURE"))
        self.assert_fault(360, "not found", self.finish("GREAT"))
        self.assertEqual(SUCCESS, self.code_import.results.first().status)

    def test_too_late(self):
        # After a day, nobody calls again because of a lost answer.
        self.finish()
        self.factory.letTimePass(timedelta(days=1) - timedelta(seconds=1))
        self.assertIsNone(self.finish())
        self.factory.letTimePass(timedelta(seconds=1))
        self.assert_fault(360, "not found", self.finish())

    def test_memory_is_configured(self):
        # How long a finish is remembered is the operator's choice.
        self.push_config("codeimportscheduler", finish_memory=0)
        self.finish()
        self.assert_fault(360, "not found", self.finish())

    def test_reclaimed(self):
        # A worker that comes too late learns that its job was taken away.
        self.factory.letTimePass(timedelta(hours=1))
        self.workflow.reclaimJob(self.jobs.getById(self.job_id))
        for name in ("SUCCESS", "RECLAIMED"):
            self.assert_fault(360, "not found", self.finish(name))

    def test_deleted_import(self):
        # Nothing is left to compare with.
        self.finish()
        self.imports.delete(self.code_import)
        self.assert_fault(360, "not found", self.finish())

    def test_suspended_import(self):
        # The import may have been suspended meanwhile; the answer is still the same.
        self.finish()
        self.code_import.updateFromData({"review_status": CodeImportReviewStatus.SUSPENDED}, None)
        self.assertIsNone(self.finish())

    def test_both_at_once(self):
        # The first call ends the job while the second stores its log, which is dropped again.
        store = RacingLogStore(getUtility(ILogStore), lambda: self.finish(log=b"first"))
        registry = getGlobalSiteManager()
        self.addCleanup(registry.registerUtility, store.own, ILogStore)
        registry.registerUtility(store, ILogStore)
        transaction.commit()
        self.assertIsNone(self.finish(log=b"second"))
        transaction.commit()
        self.assertIsNone(store.answer)
        self.assertEqual([1, 1], [self.count("codeimportresult"), self.count("logfile")])
        self.assertEqual(b"first", self.code_import.results.first().log_file.read())


@implementer(ILogStore)
class RacingLogStore:
    """A store of logs before whose first use another thread makes a call, and commits it."""

    answer = "none yet"

    def __init__(self, own, call):
        self.own = own
        self._call = call

    def create(self, name, content):
        """See `ILogStore`."""
        call, self._call = self._call, None
        if call is not None:
            thread = threading.Thread(target=self._make, args=(call,))
            thread.start()
            thread.join()
        return self.own.create(name, content)

    def delete(self, ids):
        """See `ILogStore`."""
        self.own.delete(ids)

    def _make(self, call):
        """Make the other call."""
        self.answer = run(call)
        close_stores()


class TestBilledMachine(SchedulerTestCase):
    """The counter of a machine through a job's whole life."""

    def test_whole_life(self):
        # One more at the claim, one less at the end, and no difference by what is refused.
        self.factory.makePendingJob()
        job_id = self.api.getJobForMachine("box", 1)
        self.assertEqual(0, self.api.getJobForMachine("box", 1))
        self.api.updateHeartbeat(job_id, "line")
        self.api.finishJobID(job_id, "GREAT", b"")
        main_store().invalidate()
        self.assertEqual(1, self.machines.getByHostname("box").running)
        self.api.finishJobID(job_id, "FAILURE", b"")
        self.api.finishJobID(job_id, "FAILURE", b"")
        self.assertEqual(0, self.machines.getByHostname("box").running)
        self.assert_counters_right()
