"""The manual's worker, run as its page says: real repository, servers and commands."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from lp.testing.layers import ComponentLayer
from lp.testing.server import ServerProcess

WORKER = Path(__file__).parents[2] / "doc" / "worker.py"
GIT = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org"]


def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class TestWorkerPage(unittest.TestCase):
    """The sequence of doc/worker.rst, in a home of its own."""

    layer = ComponentLayer

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="codeimport-worker-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.home = self.folder / "home"
        self.home.mkdir()

    def run_command(self, *arguments):
        # The command as a user types it, in an environment with this home.
        environment = {**os.environ, "CODEIMPORT_HOME": str(self.home)}
        return subprocess.run(
            [sys.executable, "-m", "lp.scripts.main", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def run_worker(self, scheduler, folder):
        # The worker, as a machine runs it.
        return subprocess.run(
            [sys.executable, WORKER, scheduler, folder],
            check=False,
            capture_output=True,
            text=True,
        )

    def make_repository(self):
        # A repository with one commit, in a folder that git serves.
        work, bare = self.folder / "work", self.folder / "git" / "project.git"
        subprocess.run([*GIT, "init", "-q", work], check=True)
        (work / "README").write_text("An example.\n")
        subprocess.run([*GIT, "-C", work, "add", "README"], check=True)
        subprocess.run([*GIT, "-C", work, "commit", "-q", "-m", "Begin"], check=True)
        subprocess.run([*GIT, "clone", "-q", "--bare", work, bare], check=True)
        return bare

    def serve_repositories(self):
        # Git's own server, and the URL of what it serves.
        port = free_port()
        daemon = subprocess.Popen(
            [
                *["git", "daemon", "--reuseaddr", "--listen=127.0.0.1", f"--port={port}"],
                *["--export-all", f"--base-path={self.folder / 'git'}", self.folder / "git"],
            ],
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.addCleanup(daemon.wait)
        self.addCleanup(os.killpg, daemon.pid, 15)
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return f"git://localhost:{port}"
            time.sleep(0.05)
        raise AssertionError("git daemon did not come up.")

    def test_worker_mirrors_a_repository(self):
        # Registered, claimed, cloned, finished: and everything can be seen afterwards.
        bare = self.make_repository()
        url = f"{self.serve_repositories()}/project.git"
        server = ServerProcess(self.home)
        scheduler = server.start()
        self.addCleanup(server.stop)
        self.run_command("add", "--allow-local", url, "example/project")
        mirrors = self.folder / "mirrors"
        worked = subprocess.run(
            [sys.executable, WORKER, scheduler, mirrors],
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertEqual("Job 1: SUCCESS\n", worked.stdout)
        refs = ["for-each-ref", "--format=%(refname) %(objectname)"]
        self.assertEqual(
            subprocess.check_output(["git", "-C", bare, *refs]),
            subprocess.check_output(["git", "-C", mirrors / "example/project.git", *refs]),
        )
        shown = self.run_command("show", "example/project")
        self.assertIn("SUCCESS  on ", shown)
        self.assertIn("Cloning into bare repository", shown)
        self.assertRegex(shown, r"Next run: +20\d\d-")
        facts = json.loads(self.run_command("show", "example/project", "--json"))
        self.assertEqual(["SUCCESS"], [result["status"] for result in facts["results"]])
        self.assertEqual("PENDING", facts["job"]["state"])
        self.assertIn("Cloning into", self.run_command("show", "example/project", "--log"))

    def test_worker_without_work(self):
        # It says that there is nothing to do, and stops.
        server = ServerProcess(self.home)
        scheduler = server.start()
        self.addCleanup(server.stop)
        worked = self.run_worker(scheduler, self.folder)
        self.assertEqual((1, "There is nothing to do.\n"), (worked.returncode, worked.stderr))
