"""The schema's upgrade: Storm's patches, each in one transaction, under one lock."""

__all__ = ["DatabaseSchema"]

import importlib
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg2.errors import InsufficientPrivilege
from storm.database import create_database
from storm.exceptions import StormError
from storm.schema.patch import BadPatchError, PatchApplier, PatchSet
from storm.store import Store
from zope.interface import implementer

from lp.services.database.dsn import open_connection
from lp.services.database.errors import (
    DatabaseTooNew,
    DatabaseTooOld,
    PatchFailed,
    SchemaForbidden,
)
from lp.services.database.interfaces import IDatabaseSchema
from lp.services.database.stores import uri_of

logger = logging.getLogger(__name__)

# Any constant will do, as long as every version of the program uses the same one.
LOCK_KEY = 0x636F6465696D70

# Storm's Schema would make this table too, but marks every patch as applied then.
CREATE_PATCH_TABLE = "CREATE TABLE patch (version INTEGER NOT NULL PRIMARY KEY)"


@implementer(IDatabaseSchema)
class DatabaseSchema:
    """A package of modules ``patch_N``, each with ``apply(store)``. See `IDatabaseSchema`."""

    def __init__(self, package_name: str) -> None:
        """Name the package; it is imported when it is first needed.

        :param package_name: Such as ``lp.code.model.schema``.
        """
        self._package_name = package_name

    @property
    def version(self) -> int:
        """See `IDatabaseSchema`."""
        return max(self._patches().get_patch_versions(), default=0)

    def upgrade(self, dsn: str) -> list[int]:
        """See `IDatabaseSchema`."""
        applied: list[int] = []
        with open_store(dsn) as store:
            applier = PatchApplier(store, self._patches())
            while (version := self._apply_next(store, applier)) is not None:
                logger.info("schema patch applied", extra={"version": version})
                applied.append(version)
        return applied

    def check(self, dsn: str) -> None:
        """See `IDatabaseSchema`."""
        with open_store(dsn) as store:
            applied = applied_versions(store)
        self._refuse_newer(applied)
        if set(self._patches().get_patch_versions()) - applied:
            raise DatabaseTooOld(max(applied, default=0), self.version)

    def _apply_next(self, store: Any, applier: PatchApplier) -> int | None:
        """Apply the first patch that the database lacks, and return its number, or None."""
        # The lock ends with the transaction.  A racing upgrade waits for it here, and sees
        # the other's patches after it: each statement of READ COMMITTED looks anew.
        store.execute("SELECT pg_advisory_xact_lock(?)", (LOCK_KEY,))
        applied = applied_versions(store)
        self._refuse_newer(applied)
        missing = [
            version for version in self._patches().get_patch_versions() if version not in applied
        ]
        if not missing:
            store.rollback()
            return None
        try:
            if not has_patch_table(store):
                store.execute(CREATE_PATCH_TABLE)
            applier.apply(missing[0])
        except InsufficientPrivilege as error:
            raise SchemaForbidden(first_line(error)) from error
        except (StormError, BadPatchError) as error:
            raise PatchFailed(missing[0], first_line(error)) from error
        return missing[0]

    def _refuse_newer(self, applied: set[int]) -> None:
        """Raise if a patch was applied that the program does not know."""
        if applied - set(self._patches().get_patch_versions()):
            raise DatabaseTooNew(max(applied), self.version)

    def _patches(self) -> PatchSet:
        """Return Storm's view of the package."""
        return PatchSet(importlib.import_module(self._package_name))


@contextmanager
def open_store(dsn: str) -> Iterator[Any]:
    """Give a store of its own, outside the thread's transaction; close it afterwards.

    :raise DatabaseUnavailable: if the database cannot be reached.
    """
    # The error of a first attempt says more than what Storm makes of it.
    open_connection(dsn).close()
    store = Store(create_database(uri_of(dsn)))
    try:
        yield store
    finally:
        store.close()


def has_patch_table(store: Any) -> bool:
    """Return whether the database was ever upgraded."""
    return store.execute("SELECT to_regclass('patch')").get_one()[0] is not None


def applied_versions(store: Any) -> set[int]:
    """Return the numbers of the patches that the database has."""
    if not has_patch_table(store):
        return set()
    return {row[0] for row in store.execute("SELECT version FROM patch")}


def first_line(error: BaseException) -> str:
    """Return an error's message without what follows its first line."""
    return re.split(r"\n", str(error).strip() or type(error).__name__, maxsplit=1)[0]
