"""Jobs and the queue: the corners."""

from datetime import timedelta

from zope.component import getUtility

from lp.code.enums import (
    CodeImportJobState,
    CodeImportMachineState,
    CodeImportResultStatus,
    CodeImportReviewStatus,
    RevisionControlSystems,
)
from lp.code.errors import InvalidHostname, InvalidWorkerLimit, UnknownMachineRefused
from lp.code.model.codeimportjob import RECLAIMS_PER_CALL
from lp.services.config import config
from lp.services.database.stores import main_store
from lp.services.macaroons.interfaces import IMacaroonIssuer
from tests.integration.domain import DomainTestCase

FAILURE = CodeImportResultStatus.FAILURE
OFFLINE = CodeImportMachineState.OFFLINE
ONLINE = CodeImportMachineState.ONLINE
PENDING = CodeImportJobState.PENDING
QUIESCING = CodeImportMachineState.QUIESCING
RECLAIMED = CodeImportResultStatus.RECLAIMED
RUNNING = CodeImportJobState.RUNNING

STALE = timedelta(seconds=301)


class TestJob(DomainTestCase):
    """See `ICodeImportJob`."""

    def test_isOverdue(self):
        # The very moment counts.
        code_import = self.factory.makeCodeImport()
        self.assertIs(True, code_import.import_job.isOverdue())
        self.factory.makeResult(code_import)
        self.assertIs(False, code_import.import_job.isOverdue())
        self.factory.letTimePass(timedelta(hours=6) - timedelta(microseconds=1))
        self.assertIs(False, code_import.import_job.isOverdue())
        self.factory.letTimePass(timedelta(microseconds=1))
        self.assertIs(True, code_import.import_job.isOverdue())

    def test_pending_attributes(self):
        # A job that waits has no machine, and nothing that a run has.
        job = self.factory.makePendingJob()
        self.assertEqual((PENDING, None, None), (job.state, job.machine, job.requesting_user))
        self.assertEqual([None] * 4, [job.heartbeat, job.logtail, job.date_started, job.ordering])
        self.assertEqual((self.now(), self.now()), (job.date_created, job.date_due))


class TestWorkerArguments(DomainTestCase):
    """See `ICodeImportJob.makeWorkerArguments`."""

    def setUp(self):
        super().setUp()
        self.push_config("vhost.mainsite", hostname="main.example")

    def arguments_of(self, **values):
        """Return the arguments of a job, with M in place of the token."""
        job = self.factory.makePendingJob(self.factory.makeCodeImport("a/b", **values))
        token = getUtility(IMacaroonIssuer, "code-import-job").issueMacaroon(job).serialize()
        arguments = job.makeWorkerArguments()
        self.assertEqual(1, arguments.count(token))
        return ["M" if argument == token else argument for argument in arguments]

    def test_makeWorkerArguments_git(self):
        # The list is exactly the original's for Git to Git.
        options = ["--macaroon", "M", "--exclude-host", "main.example"]
        self.assertEqual(
            ["a/b", "git", "git", "https://x.example/r", *options],
            self.arguments_of(url="https://x.example/r"),
        )

    def test_makeWorkerArguments_excluded_hosts(self):
        # The configured hosts follow, without the blanks between them.
        self.push_config("codehosting", blacklisted_hostnames="one.example, two.example,")
        self.assertEqual(
            ["main.example", "one.example", "two.example"],
            self.arguments_of(url="https://x.example/r")[7::2],
        )

    def test_makeWorkerArguments_other_types(self):
        # Other systems have their word; the site cannot be a source of theirs.
        words = {"SVN": "svn", "BZR_SVN": "svn", "HG": "hg", "BZR": "bzr"}
        for name, word in words.items():
            rcs_type = RevisionControlSystems.items[name]
            url = f"https://x.example/{name}"
            code_import = self.factory.makeCodeImport(f"a/{name}", url, rcs_type)
            arguments = code_import.import_job.makeWorkerArguments()
            self.assertEqual([f"a/{name}", word, "git", url, "--macaroon"], arguments[:5])
            self.assertEqual(6, len(arguments))

    def test_makeWorkerArguments_cvs(self):
        # CVS has a root, and a module as an option.
        root = ":pserver:anonymous@cvs.example.org:/cvs"
        values = {"rcs_type": RevisionControlSystems.CVS, "cvs_root": root, "cvs_module": "m"}
        self.assertEqual(
            ["a/b", "cvs", "git", root, "--cvs-module", "m", "--macaroon", "M"],
            self.arguments_of(**values),
        )


class TestJobSet(DomainTestCase):
    """The finders of `ICodeImportJobSet`."""

    def test_getById(self):
        # A job that has ended is not found.
        job = self.factory.makeRunningJob()
        job_id = job.id
        self.assertIs(job, self.jobs.getById(job_id))
        self.workflow.finishJob(job, FAILURE, None)
        self.assertIsNone(self.jobs.getById(job_id))

    def test_getByCodeImport(self):
        # An import has one job, or none.
        code_import = self.factory.makeCodeImport()
        self.assertEqual(code_import.import_job, self.jobs.getByCodeImport(code_import))
        other = self.factory.makeCodeImport(review_status=CodeImportReviewStatus.NEW)
        self.assertIsNone(self.jobs.getByCodeImport(other))

    def test_getJobsInState(self):
        # The result can be counted and sorted.
        running = [self.factory.makeRunningJob() for _ in range(2)]
        self.factory.makePendingJob()
        self.assertEqual(2, self.jobs.getJobsInState(RUNNING).count())
        self.assertEqual(1, self.jobs.getJobsInState(PENDING).count())
        self.assertEqual(running, list(self.jobs.getJobsInState(RUNNING).order_by("id")))

    def test_getReclaimableJobs(self):
        # Only jobs that have been silent for longer than the limit.
        silent = self.factory.makeRunningJob()
        self.factory.letTimePass(timedelta(seconds=300))
        self.factory.makeRunningJob()
        self.factory.makePendingJob()
        self.assertEqual([], list(self.jobs.getReclaimableJobs()))
        self.factory.letTimePass(timedelta(microseconds=1))
        self.assertEqual([silent], list(self.jobs.getReclaimableJobs()))

    def test_getReclaimableJobs_configured(self):
        # The limit is the configured one.
        job = self.factory.makeRunningJob()
        self.factory.letTimePass(timedelta(seconds=11))
        self.assertEqual([], list(self.jobs.getReclaimableJobs()))
        self.push_config("codeimportworker", maximum_heartbeat_interval=10)
        self.assertEqual([job], list(self.jobs.getReclaimableJobs()))


class TestGetJobForMachine(DomainTestCase):
    """See `ICodeImportJobSet.getJobForMachine`."""

    def claim(self, hostname="box", worker_limit=100):
        """Claim a job."""
        return self.jobs.getJobForMachine(hostname, worker_limit)

    def test_getJobForMachine(self):
        # The job runs on the machine from now on.
        job = self.factory.makePendingJob()
        machine = self.factory.makeMachine("box")
        self.assertIs(job, self.claim())
        self.assertEqual((RUNNING, machine, ""), (job.state, job.machine, job.logtail))
        self.assertEqual((self.now(), self.now()), (job.heartbeat, job.date_started))
        self.assertEqual((1, 100), (machine.running, machine.worker_limit))
        self.assertEqual(["CREATE", "START"], self.event_names(job.code_import))

    def test_getJobForMachine_nothing_due(self):
        # A job of the future is nothing to do; the poll is recorded.
        self.factory.makeResult()
        machine = self.factory.makeMachine("box")
        self.assertIsNone(self.claim())
        self.assertEqual((0, self.now()), (machine.running, machine.heartbeat))

    def test_getJobForMachine_due_now(self):
        # The very moment counts.
        code_import = self.factory.makeResult().code_import
        self.factory.letTimePass(timedelta(hours=6) - timedelta(microseconds=1))
        self.assertIsNone(self.claim())
        self.factory.letTimePass(timedelta(microseconds=1))
        self.assertEqual(code_import.import_job, self.claim())

    def test_getJobForMachine_order(self):
        # What was requested first, then what has been due for longest, then the lowest id.
        late, low, high, early, asked_late, asked_early = (
            self.factory.makePendingJob() for _ in range(6)
        )
        overdue = {late: 1, high: 2, low: 2, early: 3, asked_late: 0, asked_early: 1}
        for job, hours in overdue.items():
            main_store().execute(
                "UPDATE codeimportjob SET date_due = date_due - ?::interval WHERE id = ?",
                (timedelta(hours=hours), job.id),
            )
        main_store().invalidate()
        for job in (asked_late, asked_early):
            self.workflow.requestJob(job, self.factory.makePerson())
        claimed = [self.claim() for _ in range(6)]
        self.assertEqual([asked_early, asked_late, early, low, high, late], claimed)
        self.assertIsNone(self.claim())

    def test_getJobForMachine_limit(self):
        # A full machine gets nothing until one of its jobs ends.
        for _ in range(3):
            self.factory.makePendingJob()
        first, second = self.claim(worker_limit=2), self.claim(worker_limit=2)
        self.assertIsNone(self.claim(worker_limit=2))
        self.assertIsNotNone(first)
        self.workflow.finishJob(second, FAILURE, None)
        self.assertIsNotNone(self.claim(worker_limit=2))
        self.assert_counters_right()

    def test_getJobForMachine_full_changes_nothing(self):
        # A poll of a full machine changes no job, and no counter.
        machine = self.factory.makeMachine("box")
        self.factory.makeRunningJob(machine=machine)
        job = self.factory.makePendingJob()
        self.assertIsNone(self.claim(worker_limit=1))
        self.assertEqual((PENDING, None), (job.state, job.machine))
        self.assertEqual(1, machine.running)

    def test_getJobForMachine_limit_zero(self):
        # Nothing is a limit, and no error.
        self.factory.makePendingJob()
        self.assertIsNone(self.claim(worker_limit=0))

    def test_getJobForMachine_other_machines_jobs(self):
        # Another machine's jobs do not count against this one.
        self.factory.makeRunningJob()
        self.factory.makePendingJob()
        self.assertIsNotNone(self.claim(worker_limit=1))

    def test_getJobForMachine_offline(self):
        # A machine that an operator took offline gets nothing, and stays so.
        self.factory.makePendingJob()
        machine = self.factory.makeMachine("box", OFFLINE)
        self.assertIsNone(self.claim())
        self.assertEqual((OFFLINE, None), (machine.state, machine.heartbeat))

    def test_getJobForMachine_quiescing(self):
        # A machine that is to finish gets nothing, and goes offline once it has nothing.
        machine = self.factory.makeMachine("box")
        job = self.factory.makeRunningJob(machine=machine)
        self.factory.makePendingJob()
        machine.setQuiescing(self.factory.makePerson())
        self.assertIsNone(self.claim())
        self.assertEqual(QUIESCING, machine.state)
        self.workflow.finishJob(job, FAILURE, None)
        self.assertIsNone(self.claim())
        self.assertEqual(OFFLINE, machine.state)

    def test_getJobForMachine_bad_arguments(self):
        # What cannot be a machine is refused, and nothing is registered.
        self.factory.makePendingJob()
        for hostname in ("", "x" * 10_000, None, 5, "a\0", "a b"):
            with self.subTest(repr(hostname)[:20]), self.assertRaises(InvalidHostname):
                self.claim(hostname)
        for limit in (-1, True, 10_001, "1", None):
            with self.subTest(limit), self.assertRaises(InvalidWorkerLimit):
                self.claim(worker_limit=limit)
        self.assertEqual(0, self.count("codeimportmachine"))

    def test_getJobForMachine_bytes(self):
        # A caller in the same process may pass UTF-8.
        self.claim(b"box")
        self.assertIsNotNone(self.machines.getByHostname("box"))


class TestUnknownMachines(DomainTestCase):
    """What becomes of a hostname that was never seen."""

    def setUp(self):
        super().setUp()
        self.job = self.factory.makePendingJob()

    def claim(self, worker_limit):
        """Claim a job for a machine that nobody knows; return both."""
        job = self.jobs.getJobForMachine("box", worker_limit)
        return job, self.machines.getByHostname("box")

    def test_online(self):
        # By default it is registered, heard of, and given work.
        job, machine = self.claim(1)
        self.assertIs(self.job, job)
        self.assertEqual(
            (ONLINE, self.now(), 1), (machine.state, machine.heartbeat, machine.running)
        )
        self.assertEqual(["ONLINE", "START"], self.event_names(machine))
        self.assertIsNone(machine.events.last().person)

    def test_online_without_room(self):
        # The first poll is subject to the limit, too.
        job, machine = self.claim(0)
        self.assertIsNone(job)
        self.assertEqual(
            (ONLINE, self.now(), 0), (machine.state, machine.heartbeat, machine.running)
        )

    def test_offline(self):
        # It is registered, and waits for an operator.
        self.push_config("codeimportscheduler", unknown_machines="offline")
        job, machine = self.claim(1)
        self.assertIsNone(job)
        self.assertEqual((OFFLINE, None), (machine.state, machine.heartbeat))
        self.assertEqual([], self.event_names(machine))
        machine.setOnline()
        self.assertIs(self.job, self.claim(1)[0])

    def test_refuse(self):
        # It is turned away, and told how to get in; nothing is written.
        self.push_config("codeimportscheduler", unknown_machines="refuse")
        with self.assertRaisesRegex(UnknownMachineRefused, "codeimport machine box online"):
            self.claim(1)
        self.assertEqual(0, self.count("codeimportmachine"))
        self.factory.makeMachine("box")
        self.assertIs(self.job, self.claim(1)[0])


class TestReclaimingPolls(DomainTestCase):
    """Each poll takes jobs away from machines that fell silent."""

    def test_poll_reclaims(self):
        # The successor of a lost job is handed out by the same call.
        lost = self.factory.makeRunningJob()
        lost_id, code_import, silent = lost.id, lost.code_import, lost.machine
        self.factory.letTimePass(STALE)
        job = self.jobs.getJobForMachine("box", 1)
        self.assertEqual(code_import, job.code_import)
        self.assertNotEqual(lost_id, job.id)
        self.assertEqual(RECLAIMED, code_import.results.first().status)
        self.assertEqual((0, 1), (silent.running, job.machine.running))
        self.assert_counters_right()

    def test_poll_reclaims_its_own(self):
        # A machine that was restarted gets its own lost job again, and has room for it.
        machine = self.factory.makeMachine("box")
        lost_id = self.factory.makeRunningJob(machine=machine).id
        self.factory.letTimePass(STALE)
        job = self.jobs.getJobForMachine("box", 1)
        self.assertNotEqual(lost_id, job.id)
        self.assertEqual(1, machine.running)

    def test_poll_of_full_machine_reclaims(self):
        # Whoever polls reclaims, even if it gets nothing.
        lost = self.factory.makeRunningJob()
        lost_id = lost.id
        self.factory.letTimePass(STALE)
        self.assertIsNone(self.jobs.getJobForMachine("box", 0))
        self.assertIsNone(self.jobs.getById(lost_id))

    def test_poll_spares_the_living(self):
        # A job that was heard of lately stays with its machine.
        job = self.factory.makeRunningJob()
        self.factory.letTimePass(STALE)
        self.workflow.updateHeartbeat(job, "alive")
        self.assertIsNone(self.jobs.getJobForMachine("box", 1))
        self.assertEqual(RUNNING, job.state)

    def test_poll_reclaims_some(self):
        # After a long outage a poll is still answered in time: the rest is for the next ones.
        machine = self.factory.makeMachine("silent")
        for _ in range(RECLAIMS_PER_CALL + 2):
            self.factory.makeRunningJob(machine=machine)
        self.factory.letTimePass(STALE)
        self.jobs.getJobForMachine("box", 0)
        self.assertEqual(2, machine.running)
        self.jobs.getJobForMachine("box", 0)
        self.assertEqual(0, machine.running)
        self.assert_counters_right()

    def test_default_interval(self):
        # Ten reports may be lost.
        self.assertEqual(300, config.codeimportworker.maximum_heartbeat_interval)
