"""A real scheduler for tests, as operators run it."""

__all__ = ["ServerProcess"]

import os
import queue
import re
import subprocess
import sys
import threading
from pathlib import Path

READY = re.compile(r"Serving on (\S+)")


class ServerProcess:
    """``codeimport serve`` in a process of its own.

    :ivar url: Where it answers, once it has been started.
    :ivar pid: The number of its main process.
    """

    def __init__(self, home: Path, dsn: str | None = None, *arguments: str) -> None:
        """Prepare the command.

        :param home: The home folder.
        :param dsn: The database; None means the embedded one of the home.
        :param arguments: Further arguments; the port is a free one unless they name it.
        """
        self._environment = {**os.environ, "CODEIMPORT_HOME": str(home)}
        if dsn is not None:
            self._environment["CODEIMPORT_DATABASE"] = dsn
        self._command = [sys.executable, "-m", "lp.scripts.main", "serve", "--port", "0"]
        self._command += arguments
        self.log_path = home / "server.log"
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._process: subprocess.Popen[str]
        self.url = ""

    @property
    def pid(self) -> int:
        """The number of the main process."""
        return self._process.pid

    def start(self, timeout: float = 60) -> str:
        """Start it, and wait until it answers.

        :param timeout: How many seconds it may take.
        :return: Where it answers.
        :raise RuntimeError: if it stops or takes longer; the message has its log.
        """
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=log,
                stdin=subprocess.DEVNULL,
                text=True,
            )
        threading.Thread(target=self._read, daemon=True).start()
        try:
            while line := self._lines.get(timeout=timeout):
                if ready := READY.search(line):
                    self.url = ready[1]
                    return self.url
        except queue.Empty:
            pass
        self.stop()
        log_text = self.log_path.read_text(errors="replace")[-3000:]
        raise RuntimeError(f"The server did not come up:\n{log_text}")

    def _read(self) -> None:
        """Read standard output to its end, so that the server never waits for us."""
        stream = self._process.stdout
        if stream is not None:
            with stream:
                for line in stream:
                    self._lines.put(line)
        self._lines.put(None)

    def stop(self, timeout: float = 30) -> int:
        """Stop it as an operator would, and return its exit code.

        :param timeout: How many seconds it may take before it is killed.
        """
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
