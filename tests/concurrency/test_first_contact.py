"""The first of a kind, made by several at once."""

import transaction
from zope.component import getUtility

from lp.code.enums import CodeImportEventType, RevisionControlSystems
from lp.code.errors import SourceTaken, TargetTaken
from lp.code.interfaces.codeimport import ICodeImportSet
from lp.code.interfaces.codeimportjob import ICodeImportJobSet
from lp.code.interfaces.codeimportmachine import ICodeImportMachineSet
from lp.registry.interfaces.person import IPersonSet
from lp.testing import TestCaseWithFactory
from tests.concurrency.together import do_together, find_contradictions

ROUNDS = 10


class TestFirstContact(TestCaseWithFactory):
    """Machines, people and imports."""

    def poll(self, hostname, limit=3):
        def action():
            job = getUtility(ICodeImportJobSet).getJobForMachine(hostname, limit)
            return job and job.id

        return action

    def test_two_first_contacts_make_one_machine(self):
        # One row, one event, no error; whoever asks.
        for number in range(ROUNDS):
            hostname = f"machine-{number}"
            for callers in (2, 8):
                outcomes = do_together([self.poll(f"{hostname}-{callers}")] * callers)
                self.assertEqual([None] * callers, outcomes)
                transaction.begin()
                machine = getUtility(ICodeImportMachineSet).getByHostname(f"{hostname}-{callers}")
                self.assertEqual(
                    [CodeImportEventType.ONLINE], [event.event_type for event in machine.events]
                )

    def test_first_contacts_respect_the_limit(self):
        # Eight callers of an unseen hostname get the jobs of its limit, and no more.
        for _ in range(20):
            self.factory.makeCodeImport()
        transaction.commit()
        claimed = [job for job in do_together([self.poll("new", 3)] * 8) if job is not None]
        self.assertEqual(3, len(set(claimed)))
        self.assertEqual(3, len(claimed), claimed)
        transaction.begin()
        self.assertEqual([], find_contradictions())

    def test_one_person(self):
        # Made once, and returned to all.
        def ensure():
            return getUtility(IPersonSet).ensure("ada").id

        self.assertEqual(1, len(set(do_together([ensure] * 8))))

    def register(self, target, url):
        def action():
            registrant = getUtility(IPersonSet).ensure("ada")
            git = RevisionControlSystems.GIT
            return getUtility(ICodeImportSet).new(registrant, target, git, url=url).id

        return action

    def test_one_source(self):
        # Of two targets for one source, one gets it.
        for number in range(ROUNDS):
            url = f"https://git.example.org/source-{number}"
            actions = [self.register(f"example/{number}-{side}", url) for side in "ab"]
            outcomes = do_together(actions)
            self.assertEqual(1, sum(isinstance(outcome, int) for outcome in outcomes), outcomes)
            self.assertEqual(1, sum(isinstance(outcome, SourceTaken) for outcome in outcomes))
            self.assert_consistent()

    def test_one_target(self):
        # Of two sources for one target, one gets it.
        for number in range(ROUNDS):
            urls = [f"https://git.example.org/{side}-{number}" for side in "ab"]
            outcomes = do_together([self.register(f"example/{number}", url) for url in urls])
            self.assertEqual(1, sum(isinstance(outcome, int) for outcome in outcomes), outcomes)
            self.assertEqual(1, sum(isinstance(outcome, TargetTaken) for outcome in outcomes))
            self.assert_consistent()

    def test_same_import(self):
        # Registered twice at once, it is there once.
        for number in range(ROUNDS):
            action = self.register(f"example/{number}", f"https://git.example.org/{number}")
            outcomes = do_together([action, action])
            self.assertEqual(1, sum(isinstance(outcome, int) for outcome in outcomes), outcomes)
            self.assert_consistent()

    def assert_consistent(self):
        transaction.begin()
        self.assertEqual([], find_contradictions())


class TestReclaims(TestCaseWithFactory):
    """Jobs of silent machines, found by many polls at once."""

    def test_each_is_reclaimed_once(self):
        # Whoever polls, each lost job has one result; its successors are handed out once.
        from datetime import timedelta

        machines = [self.factory.makeMachine() for _ in range(4)]
        for number in range(20):
            self.factory.makeRunningJob(machine=machines[number % 4])
        self.factory.letTimePass(timedelta(minutes=6))
        transaction.commit()

        def poll(number):
            def action():
                job = getUtility(ICodeImportJobSet).getJobForMachine(f"poller-{number}", 5)
                return job and job.id

            return action

        outcomes = do_together([poll(number) for number in range(8)])
        self.assertEqual([], [o for o in outcomes if not isinstance(o, int | None)])
        transaction.begin()
        self.assertEqual([], find_contradictions())
        results = [list(found.results) for found in getUtility(ICodeImportSet).search()]
        self.assertEqual({1}, {len(found) for found in results})
