"""One data folder and its server: made, started, asked, stopped. Knows no locks."""

__all__ = ["Cluster", "State"]

import enum
import os
import shutil
import signal
import socket
import sys
import time
import uuid
from pathlib import Path

import psycopg2
from psycopg2.extensions import make_dsn

from lp.services.database import elsewhere
from lp.services.database.dsn import complete_dsn, connect, open_connection
from lp.services.database.errors import (
    DatabaseUnavailable,
    HomeUnusable,
    OtherMajorVersion,
    RootRefused,
)
from lp.services.database.places import SOCKET_NAME, Places
from lp.services.database.programs import (
    MAJOR,
    Programs,
    find_programs,
    is_running,
    is_running_in,
    namespace_programs,
)

ROLE = DATABASE = "codeimport"

# Seconds: until a server that was started must answer (a recovery may take minutes), for
# which a start is repeated while a killed server's remains go, and for each way to stop.
ANSWER_LIMIT = 300.0
REMAINS_LIMIT = 30.0
STOP_LIMIT = 30.0
PAUSE = 0.02

LOG_LIMIT = 10_000_000
LOG_LINES = 8

# For good, in postgresql.conf: also a server that somebody starts by hand is closed to
# the network and to other users, and keeps statements (with their values) out of its log.
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
}
FAST_SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")

# What PostgreSQL says while the remains of a killed server are not gone yet.
REMAINS = ("lock file ", "pre-existing shared memory block")
NOT_READY = ("is starting up", "is shutting down", "in recovery mode", "not yet accepting")


class State(enum.Enum):
    """What a look at the socket tells."""

    DOWN = enum.auto()
    BUSY = enum.auto()
    READY = enum.auto()


class Cluster:
    """A data folder under a home.

    :ivar places: The paths.
    :ivar durable: Whether what was committed survives a crash of the system.
    """

    def __init__(self, places: Places, *, durable: bool) -> None:
        self.places = places
        self.durable = durable

    def dsn(self, database: str = DATABASE) -> str:
        """Return the DSN of a database of this server; the server need not run."""
        folder = str(self.places.socket_folder)
        return str(make_dsn(host=folder, port="5432", user=ROLE, dbname=database))

    def check_major(self) -> None:
        """Raise unless the data folder is missing or of our PostgreSQL.

        :raise OtherMajorVersion: if another major version made it.
        :raise HomeUnusable: if it is no data folder at all, or somebody else's.
        """
        data = self.places.data
        if not data.exists():
            return
        try:
            version = (data / "PG_VERSION").read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise HomeUnusable(
                f"The folder {data} is not a data folder of PostgreSQL; move it away."
            ) from error
        if version != str(MAJOR):
            raise OtherMajorVersion(data, version, MAJOR)

    def is_listening(self) -> bool:
        """Return whether something takes connections on the socket."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(5)
            try:
                client.connect(os.fsencode(self.places.socket_folder / SOCKET_NAME))
            except OSError:
                return False
        return True

    def state(self) -> State:
        """Ask the server how it is."""
        if not self.is_listening():
            return State.DOWN
        try:
            connect(complete_dsn(self.dsn("postgres"))).close()
        except psycopg2.Error as error:
            text = str(error)
            if any(words in text for words in NOT_READY):
                return State.BUSY
            # Any other answer of the server is one, such as that it has too many clients.
            if "FATAL:" in text:
                return State.READY
            # It hung up: it is ending, or starting all its processes anew after a crash.
            return State.DOWN if self._postmaster() is None else State.BUSY
        return State.READY

    def ensure_running(self) -> bool:
        """Make the data folder if it is missing, and start the server unless it answers.

        :return: Whether it had to be started.
        :raise DatabaseUnavailable: if it does not start.
        :raise HomeUnusable: if the home cannot hold it.
        :raise RootRefused: if this is root, and no way is open.
        """
        state = self.state()
        if state is State.BUSY:
            state = self._wait(None)
        if state is not State.READY:
            programs = self._choose_programs()
            if not self.places.is_elsewhere:
                self.places.prepare_socket_folder()
            if not self.places.data.exists():
                self._initialize(programs)
            self._start(programs)
        # Also in a server that runs: who started it may have been killed before this.
        self._make_database()
        return state is not State.READY

    def stop(self) -> None:
        """Stop the server if it answers; other clients are disconnected."""
        # Where it cannot be seen whose the process id is, it is only believed while the
        # server answers.
        pid = self._postmaster()
        if pid is None or self.state() is State.DOWN:
            return
        for way in (signal.SIGINT, signal.SIGQUIT):
            os.kill(pid, way)
            deadline = time.monotonic() + STOP_LIMIT
            while is_running(pid):
                if time.monotonic() > deadline:
                    break
                time.sleep(PAUSE)
            else:
                self.places.remove_short_socket_folder()
                return

    def _choose_programs(self) -> Programs:
        """Return the way to run PostgreSQL here."""
        folder = find_programs()
        if os.geteuid() != 0:
            return Programs(folder)
        if not self.places.is_elsewhere:
            reason: str | None = "there are none on this system"
            if sys.platform == "linux":
                programs = namespace_programs(folder)
                reason = programs.refusal()
                if reason is None:
                    return programs
            if self.places.data.exists():
                raise RootRefused(
                    f"the data in {self.places.data} is root's and needs a user namespace,"
                    f" but: {reason}"
                )
            elsewhere.make_place(self.places)
        return elsewhere.programs_elsewhere(self.places, folder)

    def _initialize(self, programs: Programs) -> None:
        """Make the data folder, under another name until it is whole."""
        data = Path(os.path.realpath(self.places.data))
        for leftover in data.parent.glob("data.new-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        new = data.with_name(f"data.new-{uuid.uuid4().hex[:12]}")
        settings = [f"--set={name}={value}" for name, value in SETTINGS.items()]
        done = programs.run(
            "initdb",
            *("-D", new, "-U", ROLE, "-A", "trust", "-E", "UTF8", "--locale=C"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *settings,
            *(() if self.durable else ("--no-sync",)),
        )
        if done.returncode != 0:
            shutil.rmtree(new, ignore_errors=True)
            raise DatabaseUnavailable(
                f"PostgreSQL could not make its data folder {data}:{last_lines(done.stdout)}"
            )
        if self.places.is_elsewhere:
            elsewhere.restrict_to_owner(new)
        new.rename(data)
        sync_folder(data.parent)

    def _start(self, programs: Programs) -> None:
        """Start the server, repeating it while a killed one's remains are in the way."""
        deadline = time.monotonic() + REMAINS_LIMIT
        self._rotate_log()
        while True:
            self._remove_stale_pid()
            said = self.places.log.stat().st_size if self.places.log.exists() else 0
            if self._wait(self._spawn(programs)) is State.READY:
                return
            lines = last_lines(self._log_since(said))
            if time.monotonic() > deadline or not any(words in lines for words in REMAINS):
                raise DatabaseUnavailable(
                    f"PostgreSQL did not start; the end of {self.places.log}:{lines}"
                )
            time.sleep(0.2)

    def _spawn(self, programs: Programs) -> int:
        """Start the server process, and return its id."""
        folder = str(self.places.socket_folder).replace('"', '""')
        settings = [f'unix_socket_directories="{folder}"']
        if not self.durable:
            settings.extend(FAST_SETTINGS)
        options = [word for setting in settings for word in ("-c", setting)]
        data = Path(os.path.realpath(self.places.data))
        return programs.start("postgres", "-D", data, *options, log=self.places.log)

    def _wait(self, pid: int | None) -> State:
        """Wait until the server answers, or its process is gone.

        :param pid: The process; None means the one that the data folder names.
        """
        deadline = time.monotonic() + ANSWER_LIMIT
        pause = PAUSE
        while True:
            # The process first: one that ends after it has answered did answer.
            watched = pid or self._postmaster()
            alive = watched is not None and is_running(watched)
            state = self.state()
            if state is State.READY or not alive:
                return state
            if time.monotonic() > deadline:
                return State.DOWN
            time.sleep(pause)
            # Each look is a line in the log of a server that recovers for long.
            pause = min(pause * 1.5, 0.5)

    def _make_database(self) -> None:
        """Make our database, unless it is there."""
        connection = open_connection(self.dsn("postgres"))
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
                if cursor.fetchone() is None:
                    cursor.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            connection.close()

    def _postmaster(self) -> int | None:
        """Return the process id of this data folder's server, or None if it has none."""
        try:
            pid = int(self.places.pid_file.read_text(errors="replace").split("\n", 1)[0])
        except (OSError, ValueError):
            return None
        return pid if pid > 0 and is_running_in(pid, self.places.data) else None

    def _remove_stale_pid(self) -> None:
        """Forget a killed server, if its number would keep a new one from starting.

        PostgreSQL takes any process of that number for a server: a zombie that nobody
        reaps, or a stranger who got the number after a restart of the system, as is
        common in containers.  It still finds out about processes that outlived their
        server, by the shared memory that they hold.
        """
        if self._postmaster() is None:
            self.places.pid_file.unlink(missing_ok=True)
            socket_folder = self.places.socket_folder
            (socket_folder / f"{SOCKET_NAME}.lock").unlink(missing_ok=True)

    def _rotate_log(self) -> None:
        """Put a log that has grown large aside, over the one before it."""
        log = self.places.log
        if log.exists() and log.stat().st_size > LOG_LIMIT:
            log.replace(log.with_suffix(".log.old"))

    def _log_since(self, position: int) -> str:
        """Return what the server has printed since the log had a length."""
        with self.places.log.open("rb") as log:
            log.seek(position)
            return log.read().decode("utf-8", errors="replace")


def last_lines(text: str) -> str:
    """Return the last lines of a text, each on an indented line of its own."""
    return "".join(f"\n  {line}" for line in text.strip().splitlines()[-LOG_LINES:])


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
