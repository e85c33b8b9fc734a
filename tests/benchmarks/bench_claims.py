"""How fast is a job claimed and finished, at some sizes of the queue, and beside the floor?

The floor is the least that any queue on the same database must do: one statement that claims
a row with SKIP LOCKED, and one that deletes it and writes its result and its successor, each
in a transaction of its own, by psycopg2 alone.  Both run in turns on the same data.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2
from zope.component import getUtility

from lp.code.enums import CodeImportResultStatus
from lp.code.interfaces.codeimportjob import ICodeImportJobSet, ICodeImportJobWorkflow
from lp.code.model.codeimportjob import MOST_URGENT_JOB
from lp.services.database.embedded import EmbeddedServer
from lp.services.database.interfaces import IDatabaseSchema
from lp.services.database.stores import close_stores, set_database
from lp.services.database.transactions import run
from lp.services.startup import initialize

FILL = """
    INSERT INTO person (name, display_name) VALUES ('bench', 'bench') ON CONFLICT DO NOTHING;
    INSERT INTO gitrepository (unique_name, registrant, source)
        SELECT 'bench/' || n, 1, 'https://example.org/' || n FROM generate_series(%(a)s, %(b)s) n;
    INSERT INTO codeimport (git_repository, registrant, owner, review_status, rcs_type, url)
        SELECT id, 1, 1, 20, 4, source FROM gitrepository WHERE id BETWEEN %(a)s AND %(b)s;
    INSERT INTO codeimportjob (code_import, state, date_due)
        SELECT id, 10, CURRENT_TIMESTAMP - random() * interval '6 hours'
          FROM codeimport WHERE id BETWEEN %(a)s AND %(b)s;
"""
FLOOR_CLAIM = """
    WITH due AS (
        SELECT id FROM codeimportjob
         WHERE state = 10 AND requesting_user IS NULL AND date_due <= CURRENT_TIMESTAMP
         ORDER BY date_due, id LIMIT 1 FOR UPDATE SKIP LOCKED)
    UPDATE codeimportjob SET state = 30, machine = %s, heartbeat = CURRENT_TIMESTAMP,
           date_started = CURRENT_TIMESTAMP, logtail = ''
      FROM due WHERE codeimportjob.id = due.id RETURNING codeimportjob.id
"""
FLOOR_FINISH = """
    WITH ended AS (DELETE FROM codeimportjob WHERE id = %s RETURNING *),
    result AS (
        INSERT INTO codeimportresult (code_import, machine, status, date_job_started, job)
        SELECT code_import, machine, 100, date_started, id FROM ended)
    INSERT INTO codeimportjob (code_import, state, date_due)
    SELECT code_import, 10, date_started + interval '6 hours' FROM ended
"""


class Bench:
    """One database, in which ours and the floor take turns.

    :ivar connection: psycopg2's connection, for all that is not ours.
    """

    def __init__(self, dsn: str) -> None:
        self.connection = psycopg2.connect(dsn)
        self.connection.autocommit = True
        run(getUtility(ICodeImportJobSet).getJobForMachine, "bench", 10_000)
        [(self.machine,)] = self.execute("SELECT id FROM codeimportmachine")
        self.size = 0

    def execute(self, statement: str, values: Any = None) -> list[Any]:
        """Run a statement, and return its rows."""
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def grow(self, size: int) -> None:
        """Make so many imports with due jobs."""
        self.execute(FILL, {"a": self.size + 1, "b": size})
        self.execute("ANALYZE")
        self.size = size

    def ours(self) -> None:
        """Claim and finish a job as the scheduler does."""

        def claim() -> int:
            job = getUtility(ICodeImportJobSet).getJobForMachine("bench", 10_000)
            return int(job.id)

        def finish(job_id: int) -> None:
            job = getUtility(ICodeImportJobSet).getById(job_id)
            status = CodeImportResultStatus.SUCCESS
            getUtility(ICodeImportJobWorkflow).finishJob(job, status, None)

        run(finish, run(claim))

    def floor(self) -> None:
        """Claim and finish a job with the least that it takes."""
        [(job_id,)] = self.execute(FLOOR_CLAIM, (self.machine,))
        self.execute(FLOOR_FINISH, (job_id,))


def milliseconds(action: Callable[[], None], times: int) -> float:
    """Return the median of what an action takes."""
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        action()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken) * 1000


def main() -> None:
    """Measure, and print the medians, their ratio, and the plan of the claim."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--sizes", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    options.add_argument("--times", type=int, default=100, help="runs in each of three rounds")
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="codeimport-bench-") as home:
        initialize()
        with EmbeddedServer(Path(home)) as server:
            getUtility(IDatabaseSchema).upgrade(server.dsn)
            set_database(server.dsn)
            bench = Bench(server.dsn)
            for size in arguments.sizes:
                bench.grow(size)
                measure(bench, arguments.times)
            print("\nThe plan of the claim:")
            for (line,) in bench.execute("EXPLAIN (ANALYZE, BUFFERS) " + MOST_URGENT_JOB):
                print(f"  {line}")
            bench.connection.close()
            close_stores()


def measure(bench: Bench, times: int) -> None:
    """Print the figures of one size."""
    rounds = [
        (milliseconds(bench.ours, times), milliseconds(bench.floor, times)) for _ in range(3)
    ]
    ours, floor = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratio = statistics.median(ours / floor for ours, floor in rounds)
    print(
        f"{bench.size:>9,} jobs: claim and finish {ours:6.2f} ms, floor {floor:5.2f} ms,"
        f" ratio {ratio:4.1f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
