"""A PostgreSQL of our own under the home folder, shared by every process that uses it."""

__all__ = ["EmbeddedServer"]

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from lp.services.database.cluster import Cluster
from lp.services.database.errors import HomeUnusable
from lp.services.database.places import Places


class EmbeddedServer:
    """One user's hold on the server of a home folder.

    Any number of processes and threads may hold it at once, each by an instance of its
    own.  The first one starts the server and the last one out stops it.  Two locks say
    who that is, and the kernel gives them back when their holder is killed: so the
    server survives a killed user, and is stopped by the last of those who came after.
    """

    def __init__(self, home: Path, *, durable: bool = True) -> None:
        """Name the home; nothing is made or started yet.

        :param home: The folder that holds everything; made if it is missing.
        :param durable: False trades safety in a crash of the system for speed, for tests.
            It matters to whoever starts the server.
        """
        self._places = Places(home)
        self._cluster = Cluster(self._places, durable=durable)
        self._users_lock: int | None = None

    @property
    def dsn(self) -> str:
        """The DSN of the database; known also before the server is acquired.

        :raise HomeUnusable: if the home's path is too long, and nothing shorter is found.
        """
        return self._cluster.dsn()

    def acquire(self) -> None:
        """Use the server, which is started unless it runs. No effect when held already.

        :raise OtherMajorVersion: if the data is of another major version of PostgreSQL.
        :raise HomeUnusable: if the home cannot hold a server.
        :raise RootRefused: if this is root, and PostgreSQL cannot be run here as root.
        :raise InstallationIncomplete: if PostgreSQL's programs are missing.
        :raise DatabaseUnavailable: if the server does not start.
        """
        if self._users_lock is not None:
            return
        self._places.prepare()
        with self._starting():
            self._cluster.check_major()
            users_lock = open_lock(self._places.users_lock)
            try:
                # Nobody can be in the way: who takes this lock alone holds the other, too.
                fcntl.flock(users_lock, fcntl.LOCK_SH)
                self._cluster.ensure_running()
            except BaseException:
                os.close(users_lock)
                raise
            self._users_lock = users_lock

    def release(self) -> None:
        """Use the server no longer; it is stopped if nobody else does. May be repeated."""
        if self._users_lock is None:
            return
        with self._starting():
            users_lock, self._users_lock = self._users_lock, None
            try:
                fcntl.flock(users_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            else:
                self._cluster.stop()
            finally:
                os.close(users_lock)

    def is_alive(self) -> bool:
        """Return whether the server listens; this costs it next to nothing."""
        return self._cluster.is_listening()

    def revive(self) -> bool:
        """Start the server again if it does not answer.

        :return: Whether it had to be started; False also when it is not held.
        :raise DatabaseUnavailable: if it does not start.
        :raise HomeUnusable: if the home cannot hold it any more.
        """
        if self._users_lock is None:
            return False
        with self._starting():
            return self._cluster.ensure_running()

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    @contextmanager
    def _starting(self) -> Iterator[None]:
        """Hold the lock under which the server is started and stopped."""
        lock = open_lock(self._places.start_lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def open_lock(path: Path) -> int:
    """Open a file to be locked; no program that we start inherits it.

    :raise HomeUnusable: if it cannot be opened.
    """
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise HomeUnusable(f"The lock file {path} cannot be opened: {error.strerror}.") from error
