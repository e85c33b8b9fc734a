"""The scheduler and its database killed under claims and finishes: nothing is lost."""

import contextlib
import os
import random
import signal
import socket
import tempfile
import threading
import time
import xmlrpc.client
from collections import Counter
from pathlib import Path

import transaction

from lp.services.database.embedded import EmbeddedServer
from lp.services.database.stores import close_stores, main_store, set_database
from lp.testing import TestCase
from lp.testing.factory import ObjectFactory
from lp.testing.layers import ComponentLayer
from lp.testing.server import ServerProcess
from tests.concurrency.together import find_contradictions
from tests.siteprocess import is_listening, wait_until, workers_of

IMPORTS = 400
CLIENTS = 6
LIMIT = 100
GONE = 360


class Machine(threading.Thread):
    """A machine that does not give up: it repeats what was not answered.

    :ivar claimed: The jobs that it was told to have.
    :ivar finished: The jobs whose finish was acknowledged.
    :ivar lost: The jobs that it had, and that were gone when it finished them.
    :ivar repeats: How many calls were not answered.
    """

    def __init__(self, url, hostname, over):
        super().__init__(daemon=True)
        self.claimed, self.finished, self.lost = [], [], []
        self.repeats = 0
        self._url, self._hostname, self._over = url, hostname, over

    def run(self):
        """Claim and finish until it is over, and finish then what it still has."""
        holding = []
        while holding or not self._over.is_set():
            if not self._over.is_set() and len(holding) < 5:
                with self._scheduler() as scheduler:
                    job = self._claim(scheduler)
                    if job:
                        self.claimed.append(job)
                        holding.append(job)
            if holding:
                job = holding.pop(random.randrange(len(holding)))
                if not self._finish(job):
                    holding.append(job)

    @contextlib.contextmanager
    def _scheduler(self):
        with xmlrpc.client.ServerProxy(self._url, allow_none=True) as scheduler:
            yield scheduler

    def _claim(self, scheduler):
        # A claim that is not answered is not repeated: another one will come.
        try:
            return scheduler.getJobForMachine(self._hostname, LIMIT)
        except (OSError, xmlrpc.client.Error):
            self.repeats += 1
            time.sleep(0.05)
            return 0

    def _finish(self, job):
        # Say whether we know how it ended.
        try:
            with self._scheduler() as scheduler:
                scheduler.updateHeartbeat(job, "nearly there")
        except (OSError, xmlrpc.client.Error):
            # The finish is what counts, and may have been done without our knowing.
            self.repeats += 1
        try:
            with self._scheduler() as scheduler:
                scheduler.finishJobID(job, "SUCCESS", xmlrpc.client.Binary(b"done"))
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != GONE:
                self.repeats += 1
                time.sleep(0.05)
                return False
            self.lost.append(job)
            return True
        except (OSError, xmlrpc.client.Error):
            self.repeats += 1
            time.sleep(0.05)
            return False
        self.finished.append(job)
        return True


class TestSchedulerFaults(TestCase):
    """One home, one server on it, and machines that work while something is killed."""

    layer = ComponentLayer

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="codeimport-faults-")
        self.addCleanup(folder.cleanup)
        self.home = Path(folder.name)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.server = self.start_server()
        set_database(EmbeddedServer(self.home).dsn)
        self.addCleanup(set_database, None)
        self.addCleanup(close_stores)
        factory = ObjectFactory()
        for _ in range(IMPORTS):
            factory.makeCodeImport()
        transaction.commit()

    def start_server(self):
        server = ServerProcess(self.home, None, "--port", str(self.port))
        server.start()
        self.addCleanup(server.stop)
        return server

    def kill_while_working(self, kill, times):
        # Let machines work, kill something now and then, and look at what is left.
        over = threading.Event()
        machines = [
            Machine(self.server.url, f"machine-{number % 3}", over) for number in range(CLIENTS)
        ]
        for machine in machines:
            machine.start()
        for _ in range(times):
            before = sum(len(machine.finished) for machine in machines)
            self.assertTrue(
                wait_until(
                    lambda: sum(len(m.finished) for m in machines) >= before + 15,  # noqa: B023
                    60,
                ),
                "Nothing is finished any more.",
            )
            kill()
        time.sleep(1)
        over.set()
        for machine in machines:
            machine.join(60)
            self.assertFalse(machine.is_alive(), "A machine waits for an answer.")
        self.assert_nothing_lost(machines)

    def assert_nothing_lost(self, machines):
        claimed = [job for machine in machines for job in machine.claimed]
        finished = [job for machine in machines for job in machine.finished]
        self.assertEqual([], [job for machine in machines for job in machine.lost])
        self.assertEqual({1}, set(Counter(claimed).values()), "A job was out twice.")
        self.assertEqual(sorted(claimed), sorted(finished))
        transaction.begin()
        results = dict(main_store().execute("SELECT job, status FROM codeimportresult"))
        self.assertEqual([], [job for job in finished if results.get(job) != 100])
        self.assertEqual([], find_contradictions())
        # Something really was in the way; else this proves nothing.
        self.assertGreater(len(finished), 40)

    def kill_main_process(self):
        # Nothing may serve the port afterwards; an operator then starts the server again.
        os.kill(self.server.pid, signal.SIGKILL)
        self.assertTrue(wait_until(lambda: not is_listening(self.server.url), 5))
        self.server.stop()
        self.server = self.start_server()

    def kill_worker(self):
        # The server itself starts another one.
        random.choice(workers_of(self.server.pid)).kill()

    def kill_database(self):
        # The server itself starts it again.
        pid_file = self.home / "postgresql" / "data" / "postmaster.pid"
        os.kill(int(pid_file.read_text().split("\n", 1)[0]), signal.SIGKILL)
        close_stores()

    def test_main_process_killed(self):
        # The workers end with it, in the middle of calls.
        self.kill_while_working(self.kill_main_process, times=2)

    def test_workers_killed(self):
        # Again and again, with the calls that they were answering.
        self.kill_while_working(self.kill_worker, times=5)

    def test_database_killed(self):
        # With all its connections, and whatever was not committed.
        self.kill_while_working(self.kill_database, times=2)
