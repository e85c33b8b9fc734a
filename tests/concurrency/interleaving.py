"""Letting one transaction happen at a chosen point in the middle of another one."""

__all__ = ["Interleaving", "Snapshot"]

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import psycopg2
from storm.tracer import install_tracer, remove_tracer

from lp.services.database.stores import close_stores, main_store
from lp.services.database.transactions import run

PATIENCE = 60
BLINK = 0.001

# After so many restorations the remains of deleted rows begin to cost time.
VACUUM_INTERVAL = 100

# Above the numbers of whatever rows a test makes before it takes a snapshot.
FIRST_ID = 1000

# Before these is as good as before the statement that follows: they read nothing that
# others write, and lock nothing that others lock.
INDIFFERENT = (
    "INSERT INTO codeimportevent",
    "INSERT INTO codeimporteventdata",
    "SAVEPOINT",
    "RELEASE",
)

IS_WAITING = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s"


class Actor:
    """A thread that does one thing at a time, each in a transaction.

    :ivar pid: The number of its database process.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self.thread = self._pool.submit(threading.get_ident).result()
        self.pid = self.do(lambda: main_store().execute("SELECT pg_backend_pid()").get_one()[0])
        self.pid = self.pid.result()

    def do(self, action: Callable[[], Any]) -> "Future[Any]":
        """Do something, once: a deadlock would not be hidden by a repetition."""
        return self._pool.submit(run, action, attempts=1)

    def close(self) -> None:
        """End the thread."""
        self._pool.submit(close_stores).result(PATIENCE)
        self._pool.shutdown()


class Barrier:
    """A tracer of Storm's that stops a thread before one of its statements."""

    def __init__(self) -> None:
        self._thread = self._left = 0
        self._stopped, self._open = threading.Event(), threading.Event()

    def set(self, thread: int, number: int) -> None:
        """Be before the thread's statement of that number; the commit counts as the last."""
        self._stopped.clear()
        self._open.clear()
        self._left, self._thread = number, thread

    def wait_until_met(self, future: "Future[Any]") -> bool:
        """Say whether the thread is stopped; else it has ended before."""
        future.add_done_callback(lambda _: self._stopped.set())
        if not self._stopped.wait(PATIENCE):
            raise AssertionError("The first transaction does not get on.")
        return not future.done()

    def lift(self) -> None:
        """Let the thread go on."""
        self._thread = 0
        self._open.set()

    def connection_raw_execute(
        self, _connection: Any, _cursor: Any, statement: str, _parameters: Any
    ) -> None:
        """See `storm.tracer`."""
        if not statement.startswith(INDIFFERENT):
            self._pass()

    def connection_commit(self, *_arguments: Any) -> None:
        """See `storm.tracer`."""
        self._pass()

    def _pass(self) -> None:
        if threading.get_ident() != self._thread:
            return
        if self._left == 0:
            self._thread = 0
            self._stopped.set()
            self._open.wait(PATIENCE)
        self._left -= 1


class Interleaving:
    """Two threads, one of which is stopped in the middle while the other one acts."""

    def __init__(self, dsn: str) -> None:
        self._observer = psycopg2.connect(dsn)
        self._observer.autocommit = True
        self._barrier = Barrier()
        self._first, self._second = Actor(), Actor()
        install_tracer(self._barrier)

    def close(self) -> None:
        """End the threads."""
        remove_tracer(self._barrier)
        self._first.close()
        self._second.close()
        self._observer.close()

    def run(
        self, first: Callable[[], Any], second: Callable[[], Any], number: int
    ) -> tuple[Any, Any] | None:
        """Do `first`, and `second` just before the first one's statement of a number.

        Where the second one must wait for a lock, the first one goes on meanwhile.

        :return: What both returned or raised; None if the first one has fewer statements.
        """
        self._barrier.set(self._first.thread, number)
        one = self._first.do(first)
        if not self._barrier.wait_until_met(one):
            self._barrier.lift()
            return None
        try:
            two = self._second.do(second)
            while wait([two], BLINK).not_done and not self._is_second_waiting():
                pass
        finally:
            self._barrier.lift()
        return outcome_of(one), outcome_of(two)

    def _is_second_waiting(self) -> bool:
        with self._observer.cursor() as cursor:
            cursor.execute(IS_WAITING, (self._second.pid,))
            row = cursor.fetchone()
        return bool(row and row[0])


def outcome_of(future: "Future[Any]") -> Any:
    """Return what a future's action returned, or the exception that it raised."""
    error = future.exception(PATIENCE)
    return future.result() if error is None else error


class Snapshot:
    """All rows as they are now, to which the tables can be brought back quickly."""

    def __init__(self, dsn: str, name: str = "saved") -> None:
        self._name = name
        self._connection = psycopg2.connect(dsn)
        self._connection.autocommit = True
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            tables = [table for (table,) in cursor.fetchall()]
            copies = [f"CREATE TABLE {name}.{table} AS TABLE public.{table}" for table in tables]
            cursor.execute("; ".join([f"CREATE SCHEMA {name}", *copies]))
        self._restoration = "; ".join(
            ["SET session_replication_role = replica"]
            + [
                f"DELETE FROM {table}; INSERT INTO {table} TABLE {name}.{table}"
                for table in tables
            ]
            + [f"SELECT setval(oid::regclass, {FIRST_ID}) FROM pg_class WHERE relkind = 'S'"]
        )
        self._times = 0

    def restore(self) -> None:
        """Bring the rows back; new ones get numbers that none of them has."""
        with self._connection.cursor() as cursor:
            cursor.execute(self._restoration)
            self._times += 1
            if self._times % VACUUM_INTERVAL == 0:
                cursor.execute("VACUUM")

    def close(self) -> None:
        """Forget them."""
        with self._connection.cursor() as cursor:
            cursor.execute(f"DROP SCHEMA {self._name} CASCADE")
        self._connection.close()
