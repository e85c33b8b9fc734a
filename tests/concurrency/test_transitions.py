"""Every pair of transitions on one job, at once."""

import itertools
import random
import time
from datetime import timedelta

import transaction
from zope.component import getUtility

from lp.code.enums import CodeImportResultStatus, CodeImportReviewStatus
from lp.code.errors import CodeImportError, NoSuchCodeImportJob
from lp.code.interfaces.codeimport import ICodeImportSet
from lp.code.interfaces.codeimportjob import ICodeImportJobSet, ICodeImportJobWorkflow
from lp.registry.interfaces.person import IPersonSet
from lp.testing import TestCaseWithFactory
from lp.testing.layers import DatabaseLayer
from tests.concurrency.interleaving import Snapshot
from tests.concurrency.together import (
    count_deadlocks,
    do_together,
    find_contradictions,
    let_hurry,
    let_nap,
)

ROUNDS = 4
SECONDS_OF_CHANCE = 10

# An hour of silence is too long for a running job, which can be reclaimed then.
SILENCE = timedelta(hours=1)


class Transitions:
    """The transitions of one import's job, each by the interfaces that everybody uses."""

    def __init__(self, import_id, job_id):
        self.import_id = import_id
        self.job_id = job_id

    def get_job(self):
        job = getUtility(ICodeImportJobSet).getById(self.job_id)
        if job is None:
            raise NoSuchCodeImportJob(self.job_id)
        return job

    def get_import(self):
        return getUtility(ICodeImportSet).get(self.import_id)

    def get_person(self):
        return getUtility(IPersonSet).getByName("person")

    def claim(self):
        # The poll reclaims first, as all do.
        getUtility(ICodeImportJobSet).getJobForMachine("other-machine", 5)

    def heartbeat(self):
        getUtility(ICodeImportJobWorkflow).updateHeartbeat(self.get_job(), "alive")

    def finish(self):
        status = CodeImportResultStatus.SUCCESS
        getUtility(ICodeImportJobWorkflow).finishJob(self.get_job(), status, None)

    def fail(self):
        status = CodeImportResultStatus.FAILURE
        getUtility(ICodeImportJobWorkflow).finishJob(self.get_job(), status, None)

    def reclaim(self):
        getUtility(ICodeImportJobWorkflow).reclaimJob(self.get_job())

    def request(self):
        self.get_import().requestImport(self.get_person())

    def suspend(self):
        status = CodeImportReviewStatus.SUSPENDED
        self.get_import().updateFromData({"review_status": status}, self.get_person())

    def approve(self):
        status = CodeImportReviewStatus.REVIEWED
        self.get_import().updateFromData({"review_status": status}, self.get_person())

    def retry(self):
        self.get_import().tryFailingImportAgain(self.get_person())

    def change_url(self):
        self.get_import().updateURL("https://vcs.example.org/moved", self.get_person())

    def delete(self):
        getUtility(ICodeImportSet).delete(self.get_import(), self.get_person())


NAMES = [name for name in vars(Transitions) if not name.startswith(("_", "get_"))]


class TestTransitions(TestCaseWithFactory):
    """Two or three callers change one job at the same moment."""

    def setUp(self):
        super().setUp()
        let_nap()
        self.addCleanup(let_hurry)

    def make_pending(self):
        # A job that is due, which nobody has asked for.
        code_import = self.factory.makeCodeImport()
        return code_import, code_import.import_job

    def make_silent(self):
        # A running job that can be reclaimed, and can still finish.
        code_import = self.factory.makeCodeImport()
        job = self.factory.makeRunningJob(code_import, self.factory.makeMachine())
        self.factory.letTimePass(SILENCE)
        return code_import, job

    def make_suspended(self):
        # A running job of an import that is no longer run.
        code_import, job = self.make_silent()
        code_import.updateFromData({"review_status": CodeImportReviewStatus.SUSPENDED}, None)
        return code_import, job

    def make_nearly_failing(self):
        # A running job whose failure sets its import aside.
        code_import = self.factory.makeCodeImport()
        job = self.factory.makeRunningJob(
            code_import, self.factory.makeMachine(), previous_failures=4
        )
        self.factory.letTimePass(SILENCE)
        return code_import, job

    def make_situations(self):
        return [
            self.make_pending,
            self.make_silent,
            self.make_suspended,
            self.make_nearly_failing,
        ]

    def prepare(self, make):
        # Make a situation, alone in the database, that can be brought back.
        DatabaseLayer.testSetUp()
        self.factory.makePerson("person")
        code_import, job = make()
        transitions = Transitions(code_import.id, job.id)
        transaction.commit()
        snapshot = Snapshot(DatabaseLayer.dsn, make.__name__)
        self.addCleanup(snapshot.close)
        return make.__name__, transitions, snapshot

    def clash(self, situation, names):
        # Let some transitions meet on one job, and look at what is left.
        where, transitions, snapshot = situation
        snapshot.restore()
        outcomes = do_together([getattr(transitions, name) for name in names])
        for name, outcome in zip(names, outcomes, strict=True):
            if outcome is not None and not isinstance(outcome, CodeImportError):
                raise AssertionError(f"{names} after {where}: {name}: {outcome!r}") from outcome
        transaction.begin()
        self.assertEqual([], find_contradictions(), f"{names} after {where}")
        transaction.abort()

    def assert_no_deadlock(self, before):
        # The statistics are a little late.
        time.sleep(1.5)
        transaction.begin()
        self.assertEqual(before, count_deadlocks(), "Locks were taken in two orders.")

    def test_every_pair(self):
        # Whoever is first wins; the other one is refused by name, or does what is left.
        before = count_deadlocks()
        for situation in map(self.prepare, self.make_situations()):
            for pair in itertools.combinations_with_replacement(NAMES, 2):
                for _ in range(ROUNDS):
                    self.clash(situation, pair)
        self.assert_no_deadlock(before)

    def test_any_three(self):
        # The same with three, as long as there is time, by chance that can be repeated.
        seed = random.randrange(2**32)
        chance = random.Random(seed)
        situations = [self.prepare(make) for make in self.make_situations()]
        before, end = count_deadlocks(), time.monotonic() + SECONDS_OF_CHANCE
        with self.subTest(seed=seed):
            while time.monotonic() < end:
                situation = chance.choice(situations)
                self.clash(situation, tuple(chance.choices(NAMES, k=3)))
            self.assert_no_deadlock(before)

    def test_contradictions_are_found(self):
        # What looks for them would see them.
        from lp.services.database.stores import main_store

        self.make_silent()
        self.assertEqual([], find_contradictions())
        main_store().execute("UPDATE codeimportmachine SET running = 7", noresult=True)
        main_store().execute("DELETE FROM codeimportevent", noresult=True)
        found = " ".join(find_contradictions())
        self.assertIn("counter is wrong", found)
        self.assertIn("a run without its event", found)
