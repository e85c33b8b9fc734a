"""Run the tests, or documents as tests: what `bin/test` does.

The options are those of zope.testrunner; `--document` is ours.
"""

import doctest
import os
import sys
import tempfile
import threading
import unittest
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zope.component import getUtility
from zope.testrunner.options import parser
from zope.testrunner.runner import Runner, SetUpLayerFailure, TearDownLayerFailure

__all__ = ["Figures", "document_suite", "main"]

ROOT = Path(__file__).resolve().parents[3]

# Every module `test_*.py` anywhere below tests/ is searched; the command line narrows that.
DEFAULTS = (
    "--package-path", str(ROOT / "tests"), "tests",
    "--tests-pattern", "^test_",
    "--auto-color",
    "--auto-progress",
)  # fmt: skip

DOCUMENT_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.REPORT_NDIFF

# Warnings of libraries about themselves, which we cannot mend: (message, category, module).
TOLERATED: tuple[tuple[str, type[Warning], str], ...] = (
    # WebOb takes its form parser from `cgi` where Python has it, and from a copy elsewhere.
    ("'cgi' is deprecated", DeprecationWarning, r"webob\."),
    # Pyramid finds the files of packages by it.
    ("pkg_resources is deprecated", Warning, r"pyramid\."),
    ("Deprecated call to `pkg_resources", DeprecationWarning, r"pkg_resources"),
)

# The file to which the figures are written as "passed failed skipped"; unset for none.
FIGURES_VARIABLE = "TEST_FIGURES"

# The file to which processes that run one layer each write a line for each test that they skipped
# and each exception that was lost: the test runner's own protocol has no word for them.
ASIDES_VARIABLE = "TEST_ASIDES"
SKIPPED = "skipped"

# How one test runner begins the command line of another.
RESUME = "--resume-layer"

USAGE_ERROR = 64
INTERRUPTED = 130


class UsageError(Exception):
    """What was asked for cannot be run; the message is one sentence."""


@dataclass(frozen=True)
class Figures:
    """How many tests passed, failed and were skipped.

    Whatever went wrong outside a test (a module that cannot be imported, a layer that cannot be
    set up, an exception that nobody could catch) counts as failed.
    """

    passed: int
    failed: int
    skipped: int

    def __str__(self) -> str:
        """Return the line that ends a run."""
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def document_suite(paths: Sequence[Path], layer: Any) -> unittest.TestSuite:
    """Return a suite that runs each document as one test in `layer`.

    `getUtility` is at hand in the documents; everything else they import visibly.

    :param paths: Text files in UTF-8 with interactive examples.
    :param layer: A test layer, such as `lp.testing.layers.DocumentLayer`.
    :raise UsageError: if a document cannot be read or has no example.
    """
    suite: Any = unittest.TestSuite()
    suite.layer = layer
    for path in paths:
        suite.addTest(_document_test(path))
    return suite


def _document_test(path: Path) -> unittest.TestCase:
    try:
        test: Any = doctest.DocFileTest(
            str(path.absolute()),
            module_relative=False,
            encoding="utf-8",
            globs={"getUtility": getUtility},
            optionflags=DOCUMENT_FLAGS,
        )
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise UsageError(f"The document {path} cannot be read: {reason}.") from error
    except ValueError as error:
        raise UsageError(f"The document {path} is malformed: {error}.") from error
    if not test._dt_test.examples:
        raise UsageError(f"The document {path} has no example to run.")
    return test


@contextmanager
def _warnings_are_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for message, category, module in TOLERATED:
            warnings.filterwarnings("ignore", message, category, module)
        yield


@contextmanager
def _uncaught_exceptions() -> Iterator[list[str]]:
    # An exception in a thread or a destructor fails no test by itself; a warning that became
    # an error there would go unnoticed.
    seen: list[str] = []
    thread_hook, unraisable_hook = threading.excepthook, sys.unraisablehook

    def in_thread(arguments: threading.ExceptHookArgs) -> None:
        seen.append(f"the thread {arguments.thread and arguments.thread.name}")
        thread_hook(arguments)

    def in_destructor(arguments: "sys.UnraisableHookArgs") -> None:
        seen.append(f"the destructor {arguments.object!r:.80}")
        unraisable_hook(arguments)

    threading.excepthook, sys.unraisablehook = in_thread, in_destructor
    try:
        yield seen
    finally:
        threading.excepthook, sys.unraisablehook = thread_hook, unraisable_hook


@contextmanager
def _asides() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="codeimport-test-") as folder:
        path = Path(folder) / "asides"
        path.touch()
        os.environ[ASIDES_VARIABLE] = str(path)
        try:
            yield path
        finally:
            del os.environ[ASIDES_VARIABLE]


def _make_runner(arguments: list[str], documents: Sequence[str]) -> Runner:
    suites = None
    if documents:
        from lp.testing.layers import DocumentLayer

        suites = [document_suite([Path(name) for name in documents], DocumentLayer)]
    runner = Runner(
        list(DEFAULTS),
        ["bin/test", *arguments],
        found_suites=suites,
        script_parts=["-P", "-m", "lp.testing.runner"],
        cwd=str(Path.cwd()),
    )
    # Else the runner would set its own filter, in front of ours.
    runner.warnings = None
    return runner


def _figures(runner: Runner, skipped_elsewhere: int, lost: int) -> Figures:
    problems = [test for test, _ in [*runner.failures, *runner.errors]]
    # A layer's failure, in this process or in one of its own, is the failure of no test.
    in_tests = [test for test in problems if not _is_layer_failure(test)]
    skipped = len(runner.skipped) + skipped_elsewhere
    return Figures(
        passed=max(runner.ran - len(in_tests) - skipped, 0),
        failed=len(problems) + len(runner.import_errors) + lost,
        skipped=skipped,
    )


def _is_layer_failure(test: object) -> bool:
    if isinstance(test, str):
        return test.startswith(("Layer: ", "subprocess "))
    return isinstance(test, SetUpLayerFailure | TearDownLayerFailure)


def _run_one_layer(runner: Runner) -> int:
    # This process was started by another test runner, for the tests of one layer.
    with _uncaught_exceptions() as lost:
        runner.run()
    with Path(os.environ[ASIDES_VARIABLE]).open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in [SKIPPED] * len(runner.skipped) + lost)
    return int(runner.failed)


def _run_all(runner: Runner) -> int:
    with _uncaught_exceptions() as lost, _asides() as path:
        runner.run()
        asides = path.read_text(encoding="utf-8").splitlines()
    if runner.options.fail:
        return USAGE_ERROR
    if not runner.do_run_tests:
        return int(bool(runner.import_errors))
    skipped = asides.count(SKIPPED)
    lost += [line for line in asides if line != SKIPPED]
    return _conclude(_figures(runner, skipped, len(lost)), lost)


def _conclude(figures: Figures, lost: Sequence[str]) -> int:
    for place in lost:
        print(f"An exception was lost in {place}.")
    nothing_ran = figures.passed + figures.failed == 0
    if nothing_ran:
        print("No test ran: none matches these options.")
    if FIGURES_VARIABLE in os.environ:
        Path(os.environ[FIGURES_VARIABLE]).write_text(
            f"{figures.passed} {figures.failed} {figures.skipped}\n", encoding="utf-8"
        )
    print(figures, flush=True)
    return int(nothing_ran or figures.failed > 0)


def main(arguments: list[str] | None = None) -> int:
    """Run what `arguments` (default: the command line's) ask for; return the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    # Test modules are found in this checkout, wherever we were called.
    sys.path.insert(0, str(ROOT))
    _extend_parser()
    try:
        with _warnings_are_errors():
            runner = _make_runner(arguments, _documents(arguments))
            if arguments[:1] == [RESUME]:
                return _run_one_layer(runner)
            return _run_all(runner)
    except UsageError as error:
        print(f"bin/test: {error}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        print("bin/test: interrupted", file=sys.stderr)
        return INTERRUPTED


def _documents(arguments: list[str]) -> list[str]:
    rest = list(arguments)
    if rest[:1] == [RESUME]:
        # What another test runner says to this one comes before what it was told itself.
        del rest[:3]
        while rest[:1] == ["--default"]:
            del rest[:2]
    options, _ = parser.parse_known_args(rest)
    return options.document or []


def _extend_parser() -> None:
    # The runner's own parser reads the command line; ours are options among its options.
    parser.prog = "bin/test"
    parser.description = (
        "Run the tests below tests/, with warnings as errors. The last line says how many "
        "passed, failed and were skipped; the exit status is 1 when one failed or none ran."
    )
    parser.add_argument(
        "--document",
        nargs="+",
        metavar="FILE",
        help="Run these documents as doctests on the sample data, instead of the tests.",
    )


if __name__ == "__main__":
    sys.exit(main())
