"""Servers that are killed, stopped, and told to open their logs anew, under calls."""

import os
import signal
import subprocess
import tempfile
import threading
import time
import xmlrpc.client
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lp.testing import TestCase
from lp.testing.layers import ComponentLayer
from lp.testing.server import ServerProcess
from tests.siteprocess import (
    SiteProcess,
    children_of,
    is_listening,
    is_running,
    wait_until,
    workers_of,
)


class Callers:
    """Clients that call without a pause while the block runs, each on a connection of its own.

    :ivar calls: How many calls were answered.
    :ivar errors: What was raised by the others.
    """

    def __init__(self, url, call, number=4):
        self.calls = 0
        self.errors = []
        self._url = url
        self._call = call
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(number)]

    def _run(self):
        """Call until it is over."""
        with xmlrpc.client.ServerProxy(self._url) as server:
            while not self._over.is_set():
                try:
                    self._call(server)
                except (OSError, xmlrpc.client.Error) as error:
                    self.errors.append(repr(error))
                else:
                    self.calls += 1

    def wait_for_calls(self, number=100):
        """Wait until so many more calls were answered."""
        goal = self.calls + number
        return wait_until(lambda: self.calls >= goal)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()


def add(server):
    """Make a call that has one right answer."""
    if server.add(1, 2) != 3:
        raise ValueError


def refuse_once(server):
    """Make a call that is refused, and logged."""
    try:
        server.raiseRefusal()
    except xmlrpc.client.Fault as fault:
        if fault.faultCode != 8:
            raise


class SiteTestCase(TestCase):
    """A test of a server of its own."""

    layer = ComponentLayer

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.log_path = self.folder / "site.log"

    def start_site(self, workers=2):
        """Start a server, and return it."""
        site = SiteProcess(self.folder, workers, str(self.log_path))
        site.start()
        self.addCleanup(site.stop)
        self.wait_for_log("worker started", workers)
        return site

    def wait_for_log(self, text, number):
        """Wait until so many lines have a text."""
        self.assertTrue(wait_until(lambda: self.count_in_log(text) >= number))

    def count_in_log(self, text):
        """Return how many lines have a text."""
        return sum(text in line for line in self.log_path.read_text().splitlines())


class TestWorkers(SiteTestCase):
    """Worker processes that end."""

    def kill_workers(self, workers, times):
        """Kill workers under calls, one after the other, and return the calls' errors."""
        site = self.start_site(workers)
        with Callers(site.url, add) as callers:
            for number in range(1, times + 1):
                self.assertTrue(callers.wait_for_calls())
                workers_of(site.pid)[0].kill()
                self.wait_for_log("worker started", workers + number)
            self.assertTrue(callers.wait_for_calls())
        self.assertEqual(0, site.stop())
        return callers.errors

    def test_killed_worker(self):
        # A worker that is killed is replaced, and clients do not notice.
        self.assertEqual([], self.kill_workers(2, 4))

    def test_killed_only_worker(self):
        # Connections wait for the next one when there is no other.
        self.assertEqual([], self.kill_workers(1, 4))

    def test_worker_that_cannot_start(self):
        # A server whose workers fail says why, and ends instead of trying for ever.
        site = SiteProcess(self.folder, 1, str(self.log_path), "broken")
        process = subprocess.Popen(site._command, env=site._environment)
        self.assertEqual(1, process.wait(30))
        log = self.log_path.read_text()
        self.assertIn("the worker cannot start", log)
        self.assertIn("RuntimeError: This site is broken.", log)
        self.assertIn("the workers could not be kept up", log)


class TestMainProcess(SiteTestCase):
    """The main process, and what happens to its workers when it ends."""

    def test_killed_main_process(self):
        # Nothing that it started outlives it, not even a worker in the middle of a call.
        site = self.start_site()
        family = children_of(site.pid)
        with Callers(site.url, lambda server: server.sleep(30), number=2):
            time.sleep(0.5)
            os.kill(site.pid, signal.SIGKILL)
            self.assertTrue(wait_until(lambda: not is_listening(site.url), 5))
            self.assertTrue(wait_until(lambda: not any(map(is_running, family)), 5))

    def test_terminated_in_the_middle_of_a_call(self):
        # The call is answered, and nothing is left.
        site = self.start_site()
        family = children_of(site.pid)
        with ThreadPoolExecutor(2) as threads, xmlrpc.client.ServerProxy(site.url) as server:
            slow = threads.submit(server.sleep, 1.5)
            time.sleep(0.5)
            self.assertEqual(0, site.stop())
            self.assertIsInstance(slow.result(), int)
        self.assertFalse(is_listening(site.url))
        self.assertTrue(wait_until(lambda: not any(map(is_running, family)), 5))

    def test_terminated_while_workers_start(self):
        # A stop that comes before a worker is ready to be stopped is not forgotten.
        for _ in range(6):
            self.log_path.unlink(missing_ok=True)
            site = SiteProcess(self.folder, 2, str(self.log_path))
            with subprocess.Popen(
                site._command, env=site._environment, stdout=subprocess.DEVNULL
            ) as process:
                wait_until(self.log_path.exists)
                self.wait_for_log("worker started", 1)
                process.terminate()
                self.assertEqual(0, process.wait(20))

    def test_interrupted_at_the_terminal(self):
        # Ctrl-C reaches the whole process group; it is an orderly stop all the same.
        site = SiteProcess(self.folder, 2, str(self.log_path))
        process = subprocess.Popen(
            site._command,
            env=site._environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with process, ThreadPoolExecutor(1) as threads:
            url = process.stdout.readline().split()[-1]
            server = xmlrpc.client.ServerProxy(url)
            slow = threads.submit(server.sleep, 1.0)
            time.sleep(0.5)
            os.killpg(process.pid, signal.SIGINT)
            self.assertEqual(130, process.wait(30))
            self.assertIsInstance(slow.result(), int)
            server("close")()
        self.assertEqual(0, self.count_in_log("ERROR"))

    def test_hangup_under_calls(self):
        # Logs are rotated without a failed call, and with the workers as they are.
        site = self.start_site()
        before = workers_of(site.pid)
        with Callers(site.url, refuse_once) as callers:
            for number in range(1, 6):
                self.assertTrue(callers.wait_for_calls())
                old = self.log_path.rename(self.folder / f"site.log.{number}")
                os.kill(site.pid, signal.SIGHUP)
                self.assertTrue(wait_until(self.log_path.exists))
                self.assertTrue(callers.wait_for_calls())
                size = old.stat().st_size
                self.assertTrue(callers.wait_for_calls())
                self.assertEqual(size, old.stat().st_size)
        self.assertEqual([], callers.errors)
        self.assertEqual(before, workers_of(site.pid))
        logs = [path.read_text() for path in self.folder.glob("site.log*")]
        self.assertEqual(callers.calls, sum(log.count("call refused") for log in logs))

    def test_hangup_of_a_worker(self):
        # A worker that gets the signal goes on as well.
        site = self.start_site(1)
        [worker] = workers_of(site.pid)
        self.log_path.unlink()
        worker.send_signal(signal.SIGHUP)
        self.assertTrue(wait_until(self.log_path.exists))
        self.assertTrue(is_running(worker))


class TestDatabase(TestCase):
    """``codeimport serve`` and its own database."""

    layer = ComponentLayer

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = Path(folder.name)
        self.server = ServerProcess(self.home)
        self.server.start()
        self.addCleanup(self.server.stop)

    def find_postgres(self):
        """Return the process id of the database server, or None."""
        for path in self.home.rglob("postmaster.pid"):
            return int(path.read_text().split("\n", 1)[0])
        return None

    def test_killed_database(self):
        # It is started again; calls in the meantime take longer, and only where that takes
        # too long are told to call again.
        def claim(server):
            server.getJobForMachine("juniper", 1)

        with Callers(self.server.url, claim) as callers:
            for _ in range(3):
                self.assertTrue(callers.wait_for_calls(20))
                killed = self.find_postgres()
                os.kill(killed, signal.SIGKILL)
                self.assertTrue(wait_until(lambda: self.find_postgres() != killed))  # noqa: B023
            self.assertTrue(callers.wait_for_calls(20))
        self.assertEqual([], [error for error in callers.errors if "-32003" not in error])
        log = self.server.log_path.read_text()
        self.assertIn("the database was down and has been started again", log)

    def test_killed_server(self):
        # What it leaves is taken up by the next one on the same home.
        os.kill(self.server.pid, signal.SIGKILL)
        self.assertTrue(wait_until(lambda: not is_listening(self.server.url), 5))
        port = self.server.url.rpartition(":")[2].partition("/")[0]
        other = ServerProcess(self.home, None, "--port", port)
        self.addCleanup(other.stop)
        self.assertEqual(self.server.url, other.start())
        with xmlrpc.client.ServerProxy(other.url) as server:
            self.assertEqual(0, server.getJobForMachine("juniper", 1))

    def test_stopped_server(self):
        # Nothing of it is left, the database included.
        family = children_of(self.server.pid)
        postgres = self.find_postgres()
        self.assertEqual(0, self.server.stop())
        self.assertTrue(wait_until(lambda: not any(map(is_running, family))))
        self.assertIsNotNone(postgres)
        self.assertIsNone(self.find_postgres())
