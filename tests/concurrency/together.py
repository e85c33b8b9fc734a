"""Doing things at the same moment, and looking whether the database still agrees with itself."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import transaction

from lp.services.database.stores import close_stores, main_store
from lp.services.database.transactions import run

# Each statement finds what must not be.
CONTRADICTIONS = {
    "a job with two results": """
        SELECT job FROM codeimportresult GROUP BY job HAVING count(*) > 1
    """,
    "a job both alive and ended": """
        SELECT j.id FROM codeimportjob j JOIN codeimportresult r ON r.job = j.id
    """,
    "a REVIEWED import without a job": """
        SELECT i.id FROM codeimport i LEFT JOIN codeimportjob j ON j.code_import = i.id
         WHERE i.review_status = 20 AND j.id IS NULL
    """,
    "a job that waits for an import that is not run": """
        SELECT j.id FROM codeimport i JOIN codeimportjob j ON j.code_import = i.id
         WHERE i.review_status <> 20 AND j.state <> 30
    """,
    "a machine whose counter is wrong": """
        SELECT m.id FROM codeimportmachine m
         WHERE m.running <> (SELECT count(*) FROM codeimportjob j
                              WHERE j.machine = m.id AND j.state = 30)
    """,
    "a log without its result": """
        SELECT id FROM logfile
         WHERE id NOT IN (SELECT log_file FROM codeimportresult WHERE log_file IS NOT NULL)
    """,
    "a result without its event": """
        SELECT i.id FROM codeimport i
         WHERE (SELECT count(*) FROM codeimportresult r WHERE r.code_import = i.id)
            <> (SELECT count(*) FROM codeimportevent e
                 WHERE e.code_import = i.id AND e.entry_type IN (220, 240))
    """,
    "a run without its event": """
        SELECT i.id FROM codeimport i
         WHERE (SELECT count(*) FROM codeimportevent e
                 WHERE e.code_import = i.id AND e.entry_type = 210)
            <> (SELECT count(*) FROM codeimportresult r WHERE r.code_import = i.id)
             + (SELECT count(*) FROM codeimportjob j
                 WHERE j.code_import = i.id AND j.state = 30)
    """,
}

# With these, whoever has changed a row sits on it for a moment: those who take locks in
# another order meet then, which would otherwise be rare.
NAPS = """
    CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_sleep(0.003); RETURN NULL; END';
    CREATE TRIGGER nap AFTER INSERT OR UPDATE OR DELETE ON codeimportjob
        FOR EACH STATEMENT EXECUTE FUNCTION nap();
    CREATE TRIGGER nap AFTER UPDATE ON codeimportmachine
        FOR EACH STATEMENT EXECUTE FUNCTION nap();
    CREATE TRIGGER nap AFTER INSERT OR UPDATE OR DELETE ON codeimport
        FOR EACH STATEMENT EXECUTE FUNCTION nap();
    SET session_replication_role = replica;
"""
NO_NAPS = "DROP FUNCTION IF EXISTS nap() CASCADE"


def let_nap() -> None:
    """Make every change of a row last a moment longer, until `let_hurry`.

    This thread is spared: it only prepares what the others do.
    """
    main_store().execute(NAPS, noresult=True)
    transaction.commit()


def let_hurry() -> None:
    """Undo `let_nap`."""
    transaction.abort()
    main_store().execute(NO_NAPS, noresult=True)
    transaction.commit()


def find_contradictions() -> list[str]:
    """Return what the database says against itself; nothing if all is well."""
    store = main_store()
    return [
        f"{what}: {rows}"
        for what, statement in CONTRADICTIONS.items()
        if (rows := list(store.execute(statement)))
    ]


def count_deadlocks() -> int:
    """Return how many deadlocks the database has met, as far as it has said so."""
    store = main_store()
    store.execute("SELECT pg_stat_clear_snapshot()", noresult=True)
    [count] = store.execute(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    ).get_one()
    return int(count)


def do_together(actions: Sequence[Callable[[], Any]]) -> list[Any]:
    """Do each action in a thread and a transaction of its own, all at the same moment.

    :param actions: What to do; each is repeated if it meets another one too closely.
    :return: What each returned, or the exception that it raised.
    """
    barrier = threading.Barrier(len(actions), timeout=60)
    outcomes: list[Any] = [None] * len(actions)

    def act(number: int, action: Callable[[], Any]) -> None:
        try:
            # The connection is made before the start, so that all start together.
            main_store().execute("SELECT 1", noresult=True)
            barrier.wait()
            outcomes[number] = run(action)
        except Exception as error:  # noqa: BLE001 - the caller judges it
            outcomes[number] = error
        finally:
            close_stores()

    threads = [
        threading.Thread(target=act, args=(number, action))
        for number, action in enumerate(actions)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    if any(thread.is_alive() for thread in threads):
        raise AssertionError("Somebody is waiting for somebody else.")
    return outcomes
