"""Logging of servers and commands: a line per record, that nothing in it can forge."""

__all__ = ["LineFormatter", "LogFileUnusable", "configure_logging", "reopen_on_hangup"]

import logging
import os
import re
import signal
import sys
import threading
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path
from types import FrameType

from lp.services.errors import ServiceError

logger = logging.getLogger(__name__)

# What every record has.  Whatever else one has came from ``extra``.
STANDARD = frozenset([*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"])

# Characters that end a line somewhere, steer a terminal, or cannot be written.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
NEEDS_QUOTES = re.compile(r'[\s"=\\]|^$')


class LogFileUnusable(ServiceError):
    """The log file cannot be opened."""

    exit_code = os.EX_CANTCREAT


def _escape(text: str) -> str:
    """Return the text with an escape sequence for each control character."""
    return CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)


def _quote(value: object) -> str:
    """Return a value as one word, or in double quotes."""
    text = str(value)
    if not NEEDS_QUOTES.search(text) and not CONTROL.search(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_escape(escaped)}"'


class LineFormatter(logging.Formatter):
    """Time in UTC, level, logger, message, and the extra fields as ``key=value``.

    A traceback follows on lines of its own, each of which begins with spaces: no line
    that begins with a time can come from a value, a message, or an exception.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line."""
        moment = datetime.fromtimestamp(record.created, UTC)
        stamp = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        words = [stamp, record.levelname, record.name, _escape(record.getMessage())]
        words += [
            f"{key}={_quote(value)}" for key, value in vars(record).items() if key not in STANDARD
        ]
        lines = [" ".join(words)]
        if record.exc_info:
            lines += self.formatException(record.exc_info).split("\n")
        if record.stack_info:
            lines += record.stack_info.split("\n")
        return "\n    ".join([lines[0], *map(_escape, lines[1:])])


def configure_logging(log_file: Path | None = None, level: int | str = logging.INFO) -> None:
    """Send the records of all loggers to a file, or to standard error.

    Replaces what was configured before.  A file that was moved or deleted is made anew
    with the next record, in each process that logs to it.

    :param log_file: The file, which is appended to; None means standard error.
    :param level: The level from which records are written.
    :raise LogFileUnusable: if the file cannot be opened.
    """
    handler: logging.Handler
    if log_file is None:
        handler = logging.StreamHandler(sys.stderr)
    else:
        try:
            handler = WatchedFileHandler(log_file, encoding="utf-8")
        except OSError as error:
            raise LogFileUnusable(
                f"The log file {log_file} cannot be opened: {error.strerror}."
            ) from error
    handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(level)


def reopen_on_hangup() -> None:
    """Let SIGHUP open the log file anew, so that the old one can be taken away.

    Call it in the main thread.
    """
    signal.signal(signal.SIGHUP, handle_hangup)


def handle_hangup(_signum: int, _frame: FrameType | None) -> None:
    """Log a line: writing it opens a file that was moved.

    Not in the handler's own thread: what the signal interrupts may be the writing of
    another line.
    """
    threading.Thread(target=logger.info, args=("log reopened",), daemon=True).start()
