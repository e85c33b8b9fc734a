"""Machines: the corners."""

from datetime import timedelta

from lp.code.enums import (
    CodeImportEventType,
    CodeImportMachineOfflineReason,
    CodeImportMachineState,
    CodeImportResultStatus,
)
from lp.code.errors import (
    InvalidArgument,
    InvalidHostname,
    InvalidWorkerLimit,
    MachineExists,
    MachineStateRefused,
)
from tests.integration.domain import DomainTestCase

OFFLINE = CodeImportMachineState.OFFLINE
ONLINE = CodeImportMachineState.ONLINE
QUIESCING = CodeImportMachineState.QUIESCING
STOPPED = CodeImportMachineOfflineReason.STOPPED


class TestMachineSet(DomainTestCase):
    """See `ICodeImportMachineSet`."""

    def test_new(self):
        # A new machine is OFFLINE, which is no event, and was never heard of.
        machine = self.machines.new("box")
        self.assertEqual(
            ("box", OFFLINE, None), (machine.hostname, machine.state, machine.heartbeat)
        )
        self.assertEqual((0, None), (machine.running, machine.worker_limit))
        self.assertEqual(self.now(), machine.date_created)
        self.assertEqual([], self.event_names())

    def test_new_online(self):
        # Going online is an event, even as the first thing; nobody did it.
        machine = self.machines.new("box", ONLINE)
        self.assertEqual(ONLINE, machine.state)
        [event] = machine.events
        self.assertEqual(CodeImportEventType.ONLINE, event.event_type)
        self.assertEqual((None, []), (event.person, event.items()))

    def test_new_in_other_states(self):
        # No machine begins by finishing its jobs.
        for state in (QUIESCING, None, "ONLINE"):
            with self.subTest(state), self.assertRaisesRegex(MachineStateRefused, "box is new"):
                self.machines.new("box", state)
        self.assertEqual(0, self.count("codeimportmachine"))

    def test_new_twice(self):
        # A hostname is registered once; the first machine is not touched.
        machine = self.machines.new("box")
        with self.assertRaises(MachineExists):
            self.machines.new("box", ONLINE)
        self.assertEqual(OFFLINE, machine.state)
        self.assertEqual([], self.event_names())

    def test_new_malformed(self):
        # The hostname is checked before anything is written.
        for hostname in ("", "x" * 254, "a b", None, "a\0"):
            with self.subTest(repr(hostname)), self.assertRaises(InvalidHostname):
                self.machines.new(hostname)
        self.assertEqual(0, self.count("codeimportmachine"))

    def test_ensure(self):
        # An unregistered hostname gets the state; a registered one keeps its own.
        machine = self.machines.ensure("box", ONLINE)
        self.assertEqual(ONLINE, machine.state)
        machine.setOffline(STOPPED)
        self.assertIs(machine, self.machines.ensure("box", ONLINE))
        self.assertEqual(OFFLINE, machine.state)

    def test_getAll(self):
        # Machines are listed by hostname.
        for hostname in ("carrot", "apple", "banana"):
            self.machines.new(hostname)
        listed = [machine.hostname for machine in self.machines.getAll()]
        self.assertEqual(["apple", "banana", "carrot"], listed)

    def test_getByHostname(self):
        # Hostnames are exact.
        machine = self.machines.new("box")
        self.assertIs(machine, self.machines.getByHostname("box"))
        for other in ("Box", "", "box\0", "\udcff"):
            self.assertIsNone(self.machines.getByHostname(other))


class TestMachineStates(DomainTestCase):
    """The three states, and the ways between them."""

    def change(self, machine, state):
        """Bring a machine into a state."""
        if state == ONLINE:
            machine.setOnline()
        elif state == OFFLINE:
            machine.setOffline(STOPPED)
        else:
            machine.setQuiescing(self.factory.makePerson())

    def test_all_ways(self):
        # Of the nine ways five are open; the others are refused, and leave no trace.
        open_ways = {
            (OFFLINE, ONLINE),
            (QUIESCING, ONLINE),
            (ONLINE, OFFLINE),
            (QUIESCING, OFFLINE),
            (ONLINE, QUIESCING),
        }
        for before in CodeImportMachineState.items:
            for after in CodeImportMachineState.items:
                machine = self.factory.makeMachine(state=before)
                events = len(self.event_names(machine))
                with self.subTest(before=before.name, after=after.name):
                    if (before, after) in open_ways:
                        self.change(machine, after)
                        self.assertEqual(after, machine.state)
                        self.assertEqual(events + 1, len(self.event_names(machine)))
                        continue
                    message = f"{machine.hostname} is {before.name}, and cannot go {after.name}"
                    with self.assertRaisesRegex(MachineStateRefused, message):
                        self.change(machine, after)
                    self.assertEqual(before, machine.state)
                    self.assertEqual(events, len(self.event_names(machine)))

    def test_setOnline_event(self):
        # The event tells who did it, and why.
        machine, person = self.factory.makeMachine(state=OFFLINE), self.factory.makePerson()
        machine.setOnline(person, "new disk")
        event = machine.events.first()
        self.assertEqual(person, event.person)
        self.assertEqual({"MESSAGE": "new disk"}, self.data_of(event))

    def test_setOffline_event(self):
        # The event tells the reason; an empty message is none.
        machine = self.factory.makeMachine()
        machine.setOffline(CodeImportMachineOfflineReason.WATCHDOG, message="")
        self.assertEqual({"OFFLINE_REASON": "WATCHDOG"}, self.data_of(machine.events.first()))

    def test_setOffline_without_reason(self):
        # A reason of another kind is refused before the state changes.
        machine = self.factory.makeMachine()
        for reason in (None, "STOPPED", CodeImportResultStatus.FAILURE):
            with self.subTest(reason), self.assertRaises(InvalidArgument):
                machine.setOffline(reason)
            self.assertEqual(ONLINE, machine.state)

    def test_setQuiescing_event(self):
        # The event tells who asked.
        machine, person = self.factory.makeMachine(), self.factory.makePerson()
        machine.setQuiescing(person, "kernel\0")
        event = machine.events.first()
        self.assertEqual((CodeImportEventType.QUIESCE, person), (event.event_type, event.person))
        self.assertEqual({"MESSAGE": "kernel\ufffd"}, self.data_of(event))

    def test_setOffline_leaves_jobs(self):
        # The jobs of a machine that went offline may still finish.
        job = self.factory.makeRunningJob()
        machine = job.machine
        machine.setOffline(STOPPED)
        self.assertEqual([job], list(machine.current_jobs))
        self.workflow.updateHeartbeat(job, "alive")
        self.workflow.finishJob(job, CodeImportResultStatus.SUCCESS, None)
        self.assertEqual((0, OFFLINE), (machine.running, machine.state))

    def test_events_newest_first(self):
        # What happened last is read first.
        machine = self.factory.makeMachine()
        machine.setOffline(STOPPED)
        machine.setOnline()
        names = [event.event_type.name for event in machine.events[:2]]
        self.assertEqual(["ONLINE", "OFFLINE"], names)

    def test_current_jobs_in_order(self):
        # The job that was started first comes first, however late its number.
        machine = self.factory.makeMachine()
        late, early = self.factory.makePendingJob(), self.factory.makePendingJob()
        self.workflow.startJob(early, machine)
        self.factory.letTimePass(timedelta(minutes=1))
        self.workflow.startJob(late, machine)
        self.assertEqual([early, late], list(machine.current_jobs))


class TestShouldLookForJob(DomainTestCase):
    """See `ICodeImportMachine.shouldLookForJob`."""

    def test_shouldLookForJob_online(self):
        # An ONLINE machine with room gets work, and was heard of now.
        machine = self.factory.makeMachine()
        self.assertIs(True, machine.shouldLookForJob(1))
        self.assertEqual((self.now(), 1), (machine.heartbeat, machine.worker_limit))

    def test_shouldLookForJob_full(self):
        # At its limit a machine gets nothing, and is heard of all the same.
        machine = self.factory.makeMachine()
        self.factory.makeRunningJob(machine=machine)
        self.assertIs(False, machine.shouldLookForJob(1))
        self.assertEqual(self.now(), machine.heartbeat)
        self.assertIs(True, machine.shouldLookForJob(2))

    def test_shouldLookForJob_zero(self):
        # A machine that has no room at all gets nothing.
        self.assertIs(False, self.factory.makeMachine().shouldLookForJob(0))

    def test_shouldLookForJob_lowered_limit(self):
        # A limit below what already runs is no error.
        machine = self.factory.makeMachine(worker_limit=3)
        for _ in range(3):
            self.factory.makeRunningJob(machine=machine)
        self.assertIs(False, machine.shouldLookForJob(1))
        self.assertEqual((3, 1), (machine.running, machine.worker_limit))

    def test_shouldLookForJob_out_of_range(self):
        # What is no limit is refused by name.
        machine = self.factory.makeMachine()
        for bad in (-1, True, 10_001, "1"):
            with self.subTest(bad), self.assertRaises(InvalidWorkerLimit):
                machine.shouldLookForJob(bad)

    def test_shouldLookForJob_offline(self):
        # An OFFLINE machine gets nothing, and its heartbeat stays.
        machine = self.factory.makeMachine(state=OFFLINE)
        self.assertIs(False, machine.shouldLookForJob(5))
        self.assertIsNone(machine.heartbeat)
        self.assertEqual(OFFLINE, machine.state)

    def test_shouldLookForJob_quiescing_with_jobs(self):
        # A quiescing machine that still runs something goes on quiescing.
        machine = self.factory.makeMachine()
        self.factory.makeRunningJob(machine=machine)
        machine.setQuiescing(self.factory.makePerson())
        self.assertIs(False, machine.shouldLookForJob(5))
        self.assertEqual((QUIESCING, self.now()), (machine.state, machine.heartbeat))

    def test_shouldLookForJob_quiescing_without_jobs(self):
        # When its last job is done, the next poll takes a quiescing machine offline.
        machine = self.factory.makeMachine(state=QUIESCING)
        self.assertIs(False, machine.shouldLookForJob(5))
        self.assertEqual((OFFLINE, self.now()), (machine.state, machine.heartbeat))
        event = machine.events.first()
        self.assertIsNone(event.person)
        self.assertEqual({"OFFLINE_REASON": "QUIESCED"}, self.data_of(event))
