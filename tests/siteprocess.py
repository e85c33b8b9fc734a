"""The small site of `tests.webapp_site`, served by processes of its own."""

__all__ = ["SiteProcess", "children_of", "is_listening", "is_running", "wait_until", "workers_of"]

import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import psutil

import lp
from lp.testing.server import ServerProcess
from tests import webapp_site


class SiteProcess(ServerProcess):
    """A server like ``codeimport serve``, without a database.

    :ivar log_path: Where its processes log to.
    """

    def __init__(self, folder: Path, workers: int, *arguments: str) -> None:
        """Prepare the command.

        :param folder: Where the log is.
        :param workers: How many processes answer.
        :param arguments: Further arguments of the program.
        """
        super().__init__(folder)
        self._environment["PYTHONPATH"] = lp.__path__[0].removesuffix("/lp")
        self._command = [sys.executable, webapp_site.__file__, str(workers), *arguments]


def children_of(pid: int) -> list[psutil.Process]:
    """Return the processes that a process has started, and those started by them."""
    return psutil.Process(pid).children(recursive=True)


def workers_of(pid: int) -> list[psutil.Process]:
    """Return the processes that answer requests for a server."""
    return [child for child in psutil.Process(pid).children() if _is_worker(child)]


def _is_worker(process: psutil.Process) -> bool:
    """Return whether a process is a worker, and no helper of the standard library's."""
    try:
        return any("spawn_main" in word for word in process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False


def is_running(process: psutil.Process) -> bool:
    """Return whether a process still does something."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_listening(url: str) -> bool:
    """Return whether somebody takes connections there."""
    address = urlsplit(url)
    with socket.socket() as client:
        return client.connect_ex((address.hostname, address.port)) == 0


def wait_until(condition: Callable[[], object], timeout: float = 20) -> bool:
    """Wait until something is true, and return whether it became so."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
