"""The form of log lines, and where they go."""

import logging
import os
import sys
import tempfile
import unittest
from pathlib import Path

from lp.services.log import LineFormatter, LogFileUnusable, configure_logging

STAMP = r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z "


def make_record(message="job claimed", exc_info=None, **extra):
    """Return a record as a logger makes it."""
    return logging.getLogger("lp.code").makeRecord(
        "lp.code", logging.INFO, "f.py", 1, message, (), exc_info, "function", extra
    )


def format_record(*args, **extra):
    """Return a record's line, without its time."""
    return LineFormatter().format(make_record(*args, **extra))[25:]


class TestLineFormatter(unittest.TestCase):
    """How a record is written."""

    def test_time_is_utc(self):
        # The time zone of the machine has no say.
        record = make_record()
        record.created = 1_795_000_000.25
        self.assertEqual(
            "2026-11-18T11:06:40.250Z INFO lp.code job claimed", LineFormatter().format(record)
        )

    def test_extra_fields(self):
        # Values are in their order, without quotes where these are not needed.
        self.assertEqual(
            "INFO lp.code job claimed job_id=7 machine=juniper waited_s=0.5",
            format_record(job_id=7, machine="juniper", waited_s=0.5),
        )

    def test_values_in_quotes(self):
        # A value cannot be taken for two, nor for nothing.
        self.assertEqual(
            r'INFO lp.code job claimed a="" b="x y" c="k=v" d="say \"no\"" e="C:\\"',
            format_record(a="", b="x y", c="k=v", d='say "no"', e="C:\\"),
        )

    def test_values_that_would_forge_a_line(self):
        # A line ends where the record ends, and a terminal is not steered.
        line = format_record(
            "odd\nmessage",
            machine="a\n2026-11-18T07:06:40.250Z INFO lp forged",
            tail="\x1b[2J\u2028",
        )
        self.assertEqual(
            r"INFO lp.code odd\nmessage"
            r' machine="a\n2026-11-18T07:06:40.250Z INFO lp forged" tail="\x1b[2J\u2028"',
            line,
        )

    def test_lone_surrogates(self):
        # What cannot be encoded is written as an escape.
        self.assertEqual(r'INFO lp.code job claimed host="\udcff"', format_record(host="\udcff"))

    def test_traceback_is_indented(self):
        # No line of a traceback can be taken for a record's, whatever the error says.
        try:
            raise ValueError("bad\n2026-11-18T07:06:40.250Z INFO lp forged")
        except ValueError:
            text = LineFormatter().format(make_record(exc_info=sys.exc_info()))
        first, *others = text.split("\n")
        self.assertRegex(first, STAMP)
        self.assertIn("    2026-11-18T07:06:40.250Z INFO lp forged", others)
        self.assertEqual([], [line for line in others if not line.startswith("    ")])


class TestConfigureLogging(unittest.TestCase):
    """Where records go."""

    def setUp(self):
        super().setUp()
        root = logging.getLogger()
        self.addCleanup(root.setLevel, root.level)
        handlers = list(root.handlers)
        for handler in handlers:
            root.removeHandler(handler)
            self.addCleanup(root.addHandler, handler)
        self.addCleanup(self.remove_handlers)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "server.log"

    def remove_handlers(self):
        """Undo what the test has configured."""
        root = logging.getLogger()
        for handler in list(root.handlers):
            root.removeHandler(handler)
            handler.close()

    def test_file_is_appended_to(self):
        # What was logged before stays, and only the level's records come.
        self.path.write_text("before\n")
        configure_logging(self.path)
        logging.getLogger("lp").info("seen")
        logging.getLogger("lp").debug("unseen")
        self.assertRegex(self.path.read_text(), r"\Abefore\n\S+ INFO lp seen\n\Z")

    def test_moved_file_is_made_anew(self):
        # After a rotation, nothing goes into the old file.
        configure_logging(self.path)
        logging.getLogger("lp").info("first")
        old = self.path.rename(self.path.with_suffix(".1"))
        logging.getLogger("lp").info("second")
        self.assertIn("first", old.read_text())
        self.assertNotIn("second", old.read_text())
        self.assertIn("second", self.path.read_text())

    def test_configured_twice(self):
        # The last word counts, and no record is written twice.
        configure_logging(self.path.with_suffix(".0"))
        configure_logging(self.path, level="WARNING")
        logging.getLogger("lp").info("unseen")
        logging.getLogger("lp").warning("seen")
        self.assertEqual("", self.path.with_suffix(".0").read_text())
        self.assertEqual(1, self.path.read_text().count("\n"))

    def test_file_that_cannot_be_opened(self):
        # One sentence says which file, and why.
        path = self.path.parent / "missing" / "server.log"
        with self.assertRaises(LogFileUnusable) as caught:
            configure_logging(path)
        self.assertEqual(
            f"The log file {path} cannot be opened: No such file or directory.",
            str(caught.exception),
        )
        self.assertEqual(os.EX_CANTCREAT, caught.exception.exit_code)
