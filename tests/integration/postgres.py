"""Real servers in folders of their own, and child processes, for tests of the database."""

__all__ = [
    "Forwarder",
    "HomeTestCase",
    "PostgresLayer",
    "ServerTestCase",
    "forbid_namespaces",
    "query",
    "run_child",
    "start_child",
    "wait_for",
]

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import unittest
from pathlib import Path

import psycopg2

from lp.services.database.dsn import complete_dsn, connect
from lp.services.database.embedded import EmbeddedServer

ROOT = Path(__file__).parents[2]

# What the code of a child process may use without saying so.
PRELUDE = """
import os, sys, time
from pathlib import Path
from lp.services.database.embedded import EmbeddedServer
"""

# Seconds that anything may take before a test gives up; never how long it should take.
PATIENCE = 120


def start_child(code, *arguments, environment=None):
    """Start a Python process with its standard streams piped.

    It finds `EmbeddedServer`, `Path`, and some modules imported.  Its lines of standard
    output are read with ``child.stdout.readline()``.

    :param environment: What to add to the environment.
    """
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(code), *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'lib'}:{ROOT}", **(environment or {})},
    )


def run_child(code, *arguments, environment=None):
    """Run a Python process to its end, and return what it printed.

    :raise AssertionError: if it fails.
    """
    child = start_child(code, *arguments, environment=environment)
    output, errors = child.communicate(timeout=PATIENCE)
    if child.returncode != 0:
        raise AssertionError(f"The child exited with {child.returncode}: {errors}")
    return output


def wait_for(condition):
    """Return the first true result of a function, or fail."""
    deadline = time.monotonic() + PATIENCE
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError("Waited in vain.")
        time.sleep(0.01)
    return result


class HomeTestCase(unittest.TestCase):
    """Tests that make homes; no server is left behind by them."""

    def setUp(self):
        super().setUp()
        self.make_folder()

    def make_folder(self):
        """Make the folder that the test's home is to be in."""
        # Directly in /tmp, so that paths are short; open, so that only what the server
        # itself closes is closed.
        self.folder = Path(tempfile.mkdtemp(prefix="db-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.home = self.folder / "home"

    def make_server(self, home=None, **options):
        """Return an `EmbeddedServer` that is released at the end of the test."""
        server = EmbeddedServer(home or self.home, **{"durable": False, **options})
        self.addCleanup(server.release)
        return server

    def query(self, dsn, statement):
        """Return the one value that a statement gives, over a new connection."""
        return query(dsn, statement)

    def postmaster(self, home=None):
        """Return the process id of a home's server."""
        pid_file = (home or self.home) / "postgresql" / "data" / "postmaster.pid"
        return int(pid_file.read_text().split("\n")[0])

    def count_starts(self, home=None):
        """Return how many times a home's server has come up, and has been shut down."""
        log = ((home or self.home) / "postgresql" / "server.log").read_text()
        return log.count("ready to accept connections"), log.count("database system is shut down")


class PostgresLayer:
    """One server for all tests of the layer."""

    home: Path
    server: EmbeddedServer

    @classmethod
    def setUp(cls):
        cls.home = Path(tempfile.mkdtemp(prefix="db-", dir="/tmp"))
        cls.server = EmbeddedServer(cls.home, durable=False)
        cls.server.acquire()

    @classmethod
    def tearDown(cls):
        cls.server.release()
        shutil.rmtree(cls.home, ignore_errors=True)

    @classmethod
    def testSetUp(cls):
        pass

    @classmethod
    def testTearDown(cls):
        pass


class ServerTestCase(unittest.TestCase):
    """Tests that share one server, each with an empty database of its own."""

    layer = PostgresLayer

    def setUp(self):
        super().setUp()
        self.server = PostgresLayer.server
        self.server_home = PostgresLayer.home
        self.dsn = self.make_database("test")
        self.addCleanup(self.drop_database, "test")

    def make_database(self, name):
        """Make an empty database, and return its DSN."""
        query(self.server.dsn, f"CREATE DATABASE {name}")
        return psycopg2.extensions.make_dsn(self.server.dsn, dbname=name)

    def drop_database(self, name):
        """Drop a database that `make_database` made."""
        query(self.server.dsn, f"DROP DATABASE {name} WITH (FORCE)")


def query(dsn, statement):
    """Run a statement over a new connection, and return the first value it gives, or None."""
    connection = connect(complete_dsn(dsn))
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone() if cursor.description else None
            return row and row[0]
    finally:
        connection.close()


def forbid_namespaces():
    """Go where root is root, but cannot make a user namespace; for a child process.

    This is a user namespace with all users, whose own limit of namespaces is none.
    """
    here, there = os.pipe(), os.pipe()
    parent = os.fork()
    if parent:
        # The one to go on; the other, still outside, writes the maps of users.
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(0x10000000) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        os.write(here[1], b"x")
        os.read(there[0], 1)
        os.waitpid(parent, 0)
        os.setgid(0)
        os.setuid(0)
        Path("/proc/sys/user/max_user_namespaces").write_text("0")
        return
    os.read(here[0], 1)
    for name in ("gid_map", "uid_map"):
        Path(f"/proc/{os.getppid()}/{name}").write_text("0 0 65536")
    os.write(there[1], b"x")
    os._exit(0)


class Forwarder:
    """A port of TCP that leads to a server's socket, unless it is told to refuse."""

    def __init__(self, path):
        self._path = str(path)
        self._connections = []
        self._listener = None
        self.port = 0
        self.accept()

    def dsn(self, database):
        """Return the DSN of a database by way of the port."""
        return f"postgresql://codeimport@127.0.0.1:{self.port}/{database}"

    def accept(self):
        """Listen, on the same port as before."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def refuse(self):
        """Stop listening, and cut what is connected."""
        # Closing alone would not wake the thread that waits for a connection.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        while self._connections:
            with contextlib.suppress(OSError):
                self._connections.pop().shutdown(socket.SHUT_RDWR)

    def close(self):
        """Refuse for good."""
        self.refuse()

    def _serve(self, listener):
        """Take connections until the listener is closed."""
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._path)
            self._connections += [client, server]
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._copy, args=(source, target), daemon=True).start()

    def _copy(self, source, target):
        """Copy until one side ends."""
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        source.close()
