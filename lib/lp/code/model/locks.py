"""Row locks, always taken in one order: machines by id, job, import.

Two transactions that lock the same rows in the same order can wait for each other in one
direction only.  Machines and imports are locked FOR NO KEY UPDATE, which does not stand in
the way of rows that merely refer to them.
"""

__all__ = ["lock_import", "lock_import_with_job", "lock_machines"]

from collections.abc import Iterable

from lp.code.errors import NoSuchCodeImport
from lp.services.database.interfaces import IStore

LOCK_MACHINES = """
    SELECT id FROM codeimportmachine WHERE id IN ({}) ORDER BY id FOR NO KEY UPDATE
"""
LOCK_JOB_OF_IMPORT = "SELECT id FROM codeimportjob WHERE code_import = ? FOR UPDATE"
LOCK_IMPORT = "SELECT id FROM codeimport WHERE id = ? FOR NO KEY UPDATE"
JOB_OF_IMPORT = "SELECT id, machine FROM codeimportjob WHERE code_import = ?"


def lock_machines(store: IStore, machine_ids: Iterable[int]) -> None:
    """Lock machines until the end of the transaction.

    :param store: The store.
    :param machine_ids: Their ids, in whatever order.
    """
    ids = sorted(set(machine_ids))
    if ids:
        statement = LOCK_MACHINES.format(", ".join("?" * len(ids)))
        store.execute(statement, tuple(ids), noresult=True)


def lock_import(store: IStore, import_id: int) -> None:
    """Lock an import until the end of the transaction.

    :param store: The store.
    :param import_id: The import's id.
    :raise NoSuchCodeImport: if it has been deleted.
    """
    if store.execute(LOCK_IMPORT, (import_id,)).get_one() is None:
        raise NoSuchCodeImport(import_id)


def lock_import_with_job(store: IStore, import_id: int) -> None:
    """Lock an import, its job if it has one, and the machine that runs it if there is one.

    Which rows these are is only certain once they are locked.  Where they turn out to be
    others, as a run has ended meanwhile, the locks are given back, and it starts again.

    :param store: The store.
    :param import_id: The import's id.
    :raise NoSuchCodeImport: if it has been deleted.
    """
    while True:
        store.execute("SAVEPOINT before_locks", noresult=True)
        seen = store.execute(JOB_OF_IMPORT, (import_id,)).get_one()
        if seen is not None and seen[1] is not None:
            lock_machines(store, [seen[1]])
        store.execute(LOCK_JOB_OF_IMPORT, (import_id,), noresult=True)
        lock_import(store, import_id)
        if store.execute(JOB_OF_IMPORT, (import_id,)).get_one() == seen:
            store.execute("RELEASE SAVEPOINT before_locks", noresult=True)
            # What was loaded before the locks may be older than they are.
            store.invalidate()
            return
        store.execute("ROLLBACK TO SAVEPOINT before_locks", noresult=True)
