"""What kill -9 leaves of the embedded server heals itself."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
import unittest

import psycopg2
from storm.zope.interfaces import IZStorm
from storm.zope.zstorm import global_zstorm
from zope.component import provideUtility

from lp.services.database.dsn import complete_dsn, connect
from lp.services.database.programs import is_running
from lp.services.database.stores import close_stores, main_store, set_database
from lp.services.database.transactions import run
from tests.integration.postgres import HomeTestCase, start_child, wait_for

HOLD = """
server = EmbeddedServer(Path(sys.argv[1]), durable=False)
server.acquire()
print("held", flush=True)
sys.stdin.readline()
server.release()
"""


def kill(child):
    """Kill a child process, and close what it was connected to."""
    child.kill()
    child.communicate()


class TestKilledOwner(HomeTestCase):
    """A process that holds the server is killed."""

    def test_next_joins_and_last_stops(self):
        # The server outlives its starter, and the next user does not start a second one.
        owner = start_child(HOLD, self.home)
        self.assertEqual("held\n", owner.stdout.readline())
        kill(owner)
        server = self.make_server()
        self.assertTrue(server.is_alive())
        server.acquire()
        self.assertEqual((1, 0), self.count_starts())
        server.release()
        self.assertFalse(server.is_alive())

    def test_killed_at_any_moment_of_start(self):
        # Wherever the start was cut off, the next one has a whole server with its database.
        for _ in range(12):
            owner = start_child(HOLD, self.home)
            time.sleep(random.uniform(0.1, 1.2))
            kill(owner)
        with self.make_server() as server:
            self.assertEqual(1, self.query(server.dsn, "SELECT 1"))
            self.assertEqual([], list((self.home / "postgresql").glob("data.new-*")))
        self.assertFalse(server.is_alive())

    def test_killed_in_the_middle_of_initdb(self):
        # The half-made folder has another name than the whole one, and is cleared away.
        owner = start_child(HOLD, self.home)
        folder = self.home / "postgresql"
        wait_for(lambda: list(folder.glob("data.new-*/base")))
        kill(owner)
        self.assertFalse((folder / "data").exists())
        with self.make_server() as server:
            self.assertEqual(1, self.query(server.dsn, "SELECT 1"))
            self.assertEqual([], list(folder.glob("data.new-*")))

    def test_killed_before_database_was_made(self):
        # The server runs, or is to be started, but our database is not in it yet.
        for still_running in (True, False):
            with contextlib.ExitStack() as stack:
                server = stack.enter_context(self.make_server())
                maintenance = psycopg2.extensions.make_dsn(server.dsn, dbname="postgres")
                self.query(maintenance, "DROP DATABASE codeimport")
                if not still_running:
                    stack.close()
                with self.make_server() as another:
                    self.assertEqual(1, self.query(another.dsn, "SELECT 1"))

    def test_others_go_on_while_one_is_killed(self):
        # Of several users the first one, who started the server, is killed.
        children = []
        for _ in range(3):
            children.append(start_child(HOLD, self.home))
            self.assertEqual("held\n", children[-1].stdout.readline())
        kill(children[0])
        for child in children[1:]:
            child.communicate("leave\n", timeout=60)
        self.assertEqual((1, 1), self.count_starts())


class TestKilledServer(HomeTestCase):
    """PostgreSQL's main process is killed."""

    def setUp(self):
        super().setUp()
        self.server = self.make_server(durable=True)
        self.server.acquire()

    def kill_server(self):
        """Kill the main process, and wait until it is gone."""
        pid = self.postmaster()
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not is_running(pid))

    def test_revive_starts_again_and_keeps_what_was_committed(self):
        # A commit that was answered is there afterwards.
        self.query(self.server.dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
        self.kill_server()
        self.assertFalse(self.server.is_alive())
        self.assertTrue(self.server.revive())
        self.assertEqual(42, self.query(self.server.dsn, "SELECT answer FROM kept"))
        self.assertFalse(self.server.revive())

    def test_revive_waits_for_orphans(self):
        # A query outlives its server, and holds the memory that a new one would need.
        busy = "SELECT count(*) FROM generate_series(1, 20000000) AS busy"
        connection = connect(complete_dsn(self.server.dsn))
        asking = threading.Thread(target=self.ask, args=(connection, busy))
        asking.start()
        wait_for(lambda: self.count_queries("AS busy"))
        self.kill_server()
        self.assertTrue(self.server.revive())
        asking.join()
        log = (self.home / "postgresql" / "server.log").read_text()
        self.assertIn("pre-existing shared memory block", log)
        self.assertEqual(1, self.query(self.server.dsn, "SELECT 1"))

    def test_acquire_after_server_and_owner_were_killed(self):
        # Nobody is left who knew the server; its remains do not keep a new one away.
        owner = start_child(HOLD, self.home)
        self.assertEqual("held\n", owner.stdout.readline())
        self.kill_server()
        kill(owner)
        with self.make_server() as server:
            self.assertEqual(1, self.query(server.dsn, "SELECT 1"))

    def test_several_revive_at_once(self):
        # Every user notices, and one of them starts the server.
        servers = [self.make_server() for _ in range(4)]
        for server in servers:
            server.acquire()
        self.kill_server()
        threads = [threading.Thread(target=server.revive) for server in servers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(2, self.count_starts()[0])

    def test_killed_backend_is_survived(self):
        # PostgreSQL starts all its processes anew by itself; meanwhile we wait.
        connection = connect(complete_dsn(self.server.dsn))
        before = self.postmaster()
        os.kill(connection.info.backend_pid, signal.SIGKILL)
        wait_for(lambda: self.fails(connection))
        self.assertFalse(self.server.revive())
        self.assertEqual(1, self.query(self.server.dsn, "SELECT 1"))
        self.assertEqual(before, self.postmaster())

    def test_release_after_server_was_killed(self):
        # There is nothing to stop, and nobody else's process is stopped for it.
        self.kill_server()
        self.server.release()
        self.assertFalse(self.server.is_alive())

    def test_number_of_killed_server_is_taken_by_a_stranger(self):
        # After a restart of the system the number in postmaster.pid is anyone's.
        self.kill_server()
        stranger = subprocess.Popen(["sleep", "60"])
        self.addCleanup(stranger.wait)
        self.addCleanup(stranger.kill)
        pid_file = self.home / "postgresql" / "data" / "postmaster.pid"
        lines = pid_file.read_text().split("\n")
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]))
        self.server.release()
        self.assertIsNone(stranger.poll())
        with self.make_server() as server:
            self.assertEqual(1, self.query(server.dsn, "SELECT 1"))
        self.assertIsNone(stranger.poll())

    def test_statement_in_flight_is_tried_again(self):
        # `run` bears the loss of the server, and the second attempt is complete.
        provideUtility(global_zstorm, IZStorm)
        set_database(self.server.dsn)
        self.addCleanup(set_database, None)
        self.addCleanup(close_stores)
        self.query(self.server.dsn, "CREATE TABLE call (attempt integer)")
        attempts = []

        def insert_and_lose_server():
            attempts.append(len(attempts))
            main_store().execute("INSERT INTO call VALUES (?)", (attempts[-1],))
            if len(attempts) == 1:
                self.kill_server()
                threading.Thread(target=self.server.revive).start()
            main_store().execute("SELECT 1")

        run(insert_and_lose_server, attempts=6)
        rows = self.query(self.server.dsn, "SELECT array_agg(attempt) FROM call")
        self.assertEqual([attempts[-1]], rows)

    def count_queries(self, words):
        """Return how many queries with these words are running."""
        return self.query(
            self.server.dsn,
            "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            f" AND query LIKE '%{words}%' AND state = 'active'",
        )

    def ask(self, connection, statement):
        """Run a statement that is to be cut off."""
        with contextlib.suppress(psycopg2.Error):
            connection.cursor().execute(statement)

    def fails(self, connection):
        """Return whether a connection has been lost."""
        try:
            connection.cursor().execute("SELECT 1")
        except psycopg2.Error:
            return True
        return False


# Adopts the server as a bad first process of a container does, and never reaps it.
ADOPT = """
import ctypes, signal
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
home = Path(sys.argv[1])
server = EmbeddedServer(home, durable=False)
server.acquire()
pid = int((home / "postgresql/data/postmaster.pid").read_text().split()[0])
os.kill(pid, signal.SIGKILL)
stat = Path(f"/proc/{pid}/stat")
while stat.read_text().rpartition(")")[2].split()[0] != "Z":
    time.sleep(0.01)
print(server.revive(), server.is_alive(), stat.exists())
server.release()
print(server.is_alive())
"""


@unittest.skipUnless(sys.platform == "linux", "adoption of processes is Linux's")
class TestUnreapedServer(HomeTestCase):
    """The killed server stays a zombie for good."""

    def test_zombie_does_not_keep_new_server_away(self):
        # PostgreSQL alone would take the zombie for a living server for ever.
        child = start_child(ADOPT, self.home)
        output, errors = child.communicate(timeout=60)
        self.assertEqual("True True True\nFalse\n", output, errors)
