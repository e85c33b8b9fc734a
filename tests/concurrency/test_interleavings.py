"""Every pair of transitions on one job, one of them at each point within the other."""

import itertools
from datetime import timedelta
from xmlrpc.client import Binary, Fault

import transaction

from lp.code.enums import CodeImportReviewStatus
from lp.code.errors import CodeImportError
from lp.code.xmlrpc.codeimportscheduler import CodeImportSchedulerAPI
from lp.testing import TestCaseWithFactory
from lp.testing.layers import DatabaseLayer
from tests.concurrency.interleaving import Interleaving, Snapshot
from tests.concurrency.test_transitions import Transitions
from tests.concurrency.together import find_contradictions

# The codes of the faults that a caller may meet: the job is gone, or does not run.  A poll
# meets none.
LATE = {360, 361}
EXPECTED = {
    "getJobForMachine": set(),
    "getImportDataForJobID": LATE,
    "updateHeartbeat": LATE,
    "finishJobID": LATE,
}
SILENCE = timedelta(hours=1)


class Refused(CodeImportError):
    """A call was answered by a fault."""


class Calls(Transitions):
    """The transitions, those of machines as the scheduler's callers begin them."""

    def call(self, method, *arguments):
        # As the publisher does, undo what a refused call has written.
        answer = getattr(CodeImportSchedulerAPI(None, None), method)(*arguments)
        if isinstance(answer, Fault):
            if answer.faultCode not in EXPECTED[method]:
                raise answer
            raise Refused(answer.faultString)
        return answer

    def claim(self):
        self.call("getJobForMachine", "other-machine", 5)

    def data(self):
        self.call("getImportDataForJobID", self.job_id)

    def heartbeat(self):
        self.call("updateHeartbeat", self.job_id, "alive")

    def finish(self):
        self.call("finishJobID", self.job_id, "SUCCESS", Binary(b"done"))


# What machines do, and what people do.
MACHINES = ("claim", "heartbeat", "finish", "reclaim")
PEOPLE = ("request", "suspend", "approve", "delete")


class TestInterleavings(TestCaseWithFactory):
    """Nothing is left to chance: each order of two transactions' statements that can be."""

    def setUp(self):
        super().setUp()
        self.factory.makePerson("person")
        self.interleaving = Interleaving(DatabaseLayer.dsn)
        self.addCleanup(self.interleaving.close)

    def make_silent(self):
        # A running job that can be reclaimed, and can still finish.
        job = self.factory.makeRunningJob()
        self.factory.letTimePass(SILENCE)
        return job

    def check_pair(self, calls, snapshot, first, second):
        # Whatever the order was, refusals are named, and nothing contradicts itself.
        for number in itertools.count():
            snapshot.restore()
            outcomes = self.interleaving.run(getattr(calls, first), getattr(calls, second), number)
            if outcomes is None:
                break
            where = f"{second} before statement {number} of {first}"
            for outcome in outcomes:
                if outcome is not None and not isinstance(outcome, CodeImportError):
                    raise AssertionError(f"{where}: {outcome!r}") from outcome
            transaction.begin()
            self.assertEqual([], find_contradictions(), where)
            transaction.abort()
            yield outcomes
        # Else nothing has been tried.
        self.assertGreater(number, 1)

    def take_snapshot(self, job):
        calls = Calls(job.code_import.id, job.id)
        transaction.commit()
        snapshot = Snapshot(DatabaseLayer.dsn)
        self.addCleanup(snapshot.close)
        return calls, snapshot

    def check_all(self, job, firsts, seconds):
        situation = self.take_snapshot(job)
        for first, second in itertools.product(firsts, seconds):
            with self.subTest(first=first, second=second):
                list(self.check_pair(*situation, first, second))

    def test_pending_job(self):
        # Claims and people meet; a worker that was never given the job meets them, too.
        job = self.factory.makePendingJob()
        self.check_all(job, (*MACHINES, *PEOPLE), ("claim", *PEOPLE))

    def test_requested_job(self):
        # A second request meets the job's end.
        job = self.factory.makePendingJob()
        job.code_import.requestImport(self.factory.makePerson())
        names = ("claim", "request", "suspend", "delete")
        self.check_all(job, names, names)

    def test_silent_job(self):
        # Its worker, those who take it away, and people meet.
        names = (*MACHINES, "suspend", "delete")
        self.check_all(self.make_silent(), (*names, "request", "approve"), names)

    def test_job_of_suspended_import(self):
        # It has no successor, unless the import is approved just then.
        job, suspended = self.make_silent(), CodeImportReviewStatus.SUSPENDED
        job.code_import.updateFromData({"review_status": suspended}, None)
        names = ("claim", "finish", "suspend", "approve", "delete")
        self.check_all(job, names, names)

    def test_data_of_job_that_ends(self):
        # They are told, or the job is gone.
        self.check_all(self.make_silent(), ("data",), ("finish", "reclaim", "delete"))

    def test_heartbeat_and_reclaim(self):
        # Exactly one wins: a job that was heard of stays, one that was taken is gone.
        situation = self.take_snapshot(self.make_silent())
        for pair in (("heartbeat", "reclaim"), ("reclaim", "heartbeat")):
            for outcomes in self.check_pair(*situation, *pair):
                self.assertEqual(1, outcomes.count(None), outcomes)

    def test_finish_twice(self):
        # The same call repeated at once is answered alike, and there is one result.
        situation = self.take_snapshot(self.make_silent())
        for outcomes in self.check_pair(*situation, "finish", "finish"):
            self.assertEqual((None, None), outcomes)
