"""The runner's last line is true, and it fails when it should.

Each test runs a copy of the runner on a few test modules of its own.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path

from lp.testing import runner

LAYERS = """
class DocumentLayer:
    pass


class BrokenLayer:
    @classmethod
    def setUp(cls):
        raise RuntimeError("no such server")


class StickyLayer:
    @classmethod
    def setUp(cls):
        pass

    @classmethod
    def tearDown(cls):
        raise NotImplementedError
"""

HEAD = """
import threading, unittest, warnings
from lp.testing import layers

class Test(unittest.TestCase):
"""


class TestRunner(unittest.TestCase):
    """Runs in a folder that is laid out like the project's."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="runner-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.write("lib/lp/__init__.py", "")
        self.write("lib/lp/testing/__init__.py", "")
        self.write("lib/lp/testing/layers.py", LAYERS)
        shutil.copy(runner.__file__, self.folder / "lib" / "lp" / "testing")
        self.write("tests/__init__.py", "")
        self.write("tests/unit/__init__.py", "")

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def write_tests(self, body: str, name: str = "tests/unit/test_some.py") -> None:
        self.write(name, HEAD + textwrap.indent(textwrap.dedent(body), "    "))

    def run_tests(self, *arguments: str) -> tuple[int, str, str]:
        """Return the exit status, the last line, and everything that was printed."""
        result = subprocess.run(
            [sys.executable, "-P", "-m", "lp.testing.runner", *arguments],
            cwd="/",
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(self.folder / "lib"),
                "TEST_FIGURES": str(self.folder / "figures"),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return result.returncode, result.stdout.splitlines()[-1], result.stdout

    def assert_ends(self, status: int, line: str, *arguments: str) -> str:
        actual_status, actual_line, output = self.run_tests(*arguments)
        self.assertEqual((status, line), (actual_status, actual_line), output)
        return output

    def test_figures(self) -> None:
        # The last line and the file for other programs have the same figures.
        self.write_tests("""
            def test_1(self): pass
            def test_2(self): pass
            def test_3(self): self.fail()
            def test_4(self): self.skipTest('')
            def test_5(self): 1 / 0
        """)
        self.assert_ends(1, "2 passed, 2 failed, 1 skipped")
        self.assertEqual("2 2 1\n", (self.folder / "figures").read_text())

    def test_modules_anywhere(self) -> None:
        # Test modules are found at every depth, by their names alone.
        self.write("tests/unit/deep/__init__.py", "")
        for name in ("tests/test_a.py", "tests/unit/deep/test_b.py", "tests/unit/helper.py"):
            self.write_tests("def test_1(self): pass", name)
        self.assert_ends(0, "2 passed, 0 failed, 0 skipped")

    def test_options_are_passed_through(self) -> None:
        # The options of the test runner choose what is run.
        self.write_tests("""
            def test_some(self): pass
            def test_other(self): pass
        """)
        self.assert_ends(0, "1 passed, 0 failed, 0 skipped", "-t", "other", "-s", "tests.unit")

    def test_nothing_ran(self) -> None:
        # A run that tested nothing has not passed.
        self.write_tests("def test_some(self): self.skipTest('')")
        for arguments, skipped in [(("-t", "absent"), 0), ((), 1)]:
            output = self.assert_ends(1, f"0 passed, 0 failed, {skipped} skipped", *arguments)
            self.assertIn("No test ran: none matches these options.\n", output)

    def test_listing(self) -> None:
        # To list tests is not to run them.
        self.write_tests("def test_some(self): self.fail()")
        status, _, output = self.run_tests("--list-tests")
        self.assertEqual((0, 1), (status, output.count("test_some (")), output)

    def test_module_that_cannot_be_imported(self) -> None:
        # The tests that are not there for that reason count as one failure.
        self.write("tests/unit/test_broken.py", "import absent")
        self.write_tests("def test_some(self): pass")
        self.assert_ends(1, "1 passed, 1 failed, 0 skipped")

    def test_layer_that_cannot_be_set_up(self) -> None:
        # A layer's failure is a failure, though none of its tests ran.
        self.write_tests("""
            layer = layers.BrokenLayer
            def test_some(self): pass
        """)
        self.assert_ends(1, "0 passed, 1 failed, 0 skipped")

    def test_warning(self) -> None:
        # Warnings are errors.
        self.write_tests("def test_some(self): warnings.warn('old', DeprecationWarning)")
        self.assert_ends(1, "0 passed, 1 failed, 0 skipped")

    def test_exception_that_nobody_catches(self) -> None:
        # What goes wrong in a thread or a destructor fails the run.
        self.write_tests("""
            def test_thread(self):
                thread = threading.Thread(target=lambda: 1 / 0, name='helper')
                thread.start()
                thread.join()
            def test_destructor(self):
                open('/dev/null')
        """)
        output = self.assert_ends(1, "2 passed, 2 failed, 0 skipped")
        self.assertIn("An exception was lost in the thread helper.\n", output)
        self.assertIn("An exception was lost in the destructor <", output)

    def test_layers_in_processes_of_their_own(self) -> None:
        # A layer that stays sends the next one to another process, whose figures count.
        self.write_tests("""
            layer = layers.StickyLayer
            def test_some(self): pass
        """)
        self.write_tests(
            """
            layer = layers.DocumentLayer
            def test_1(self): pass
            def test_2(self): self.skipTest('')
            def test_3(self): self.fail()
            def test_4(self): threading.Thread(target=lambda: 1 / 0).start()
            """,
            "tests/unit/test_zero.py",
        )
        for arguments in ((), ("-j2",)):
            self.assert_ends(1, "3 passed, 2 failed, 1 skipped", *arguments)

    def test_document(self) -> None:
        # A document is one test, with getUtility at hand and white space of no weight.
        document = self.write(
            "page.txt",
            """
            >>> getUtility.__name__
            'getUtility'
            >>> print('a    ü  z')
            a ü ...
            """,
        )
        self.assert_ends(0, "1 passed, 0 failed, 0 skipped", "--document", str(document))

    def test_documents_that_fail(self) -> None:
        # Several documents are several tests.
        good = self.write("good.txt", ">>> 1\n1\n")
        bad = self.write("bad.txt", ">>> 1\n2\n")
        output = self.assert_ends(
            1, "1 passed, 1 failed, 0 skipped", "--document", str(good), str(bad)
        )
        self.assertIn("- 2\n", output)

    def test_documents_that_cannot_be_run(self) -> None:
        # A document that is not there, is no text, or tests nothing, is refused.
        latin = self.folder / "latin.txt"
        latin.write_bytes(b">>> '\xfc'\n")
        for path, reason in [
            (self.folder / "absent.txt", "cannot be read: No such file or directory."),
            (self.folder, "cannot be read: Is a directory."),
            (latin, "cannot be read: it is not text in UTF-8."),
            (self.write("prose.txt", "Just prose.\n"), "has no example to run."),
            (self.write("odd.txt", ">>>1\n"), "is malformed: "),
        ]:
            with self.subTest(path=path.name):
                status, line, _ = self.run_tests("--document", str(path))
                self.assertEqual(64, status)
                self.assertTrue(line.startswith(f"bin/test: The document {path} {reason}"), line)

    def test_help(self) -> None:
        # The help names our option among the others.
        status, _, output = self.run_tests("--help")
        self.assertEqual(0, status)
        self.assertIn("usage: bin/test", output)
        self.assertIn("--document FILE", output)
        self.assertIn("--shuffle", output)
