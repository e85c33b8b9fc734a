"""What the rest of the program may expect of the database."""

__all__ = ["IDatabaseSchema", "IStore"]

from typing import Any

from zope.interface import Attribute, Interface


class IStore(Interface):
    """A Storm store that has joined the thread's transaction.

    ``IStore(thing)`` is the store of a model class or of one of its instances.
    Only the methods that model code needs are listed; the object is Storm's `Store`.
    """

    def get(cls: type, key: object) -> Any:
        """Return the instance of `cls` with the primary key `key`, or None."""

    def find(cls_spec: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the result set of the instances that meet the conditions.

        :param cls_spec: A model class, a column, or a tuple of these.
        :param args: Storm expressions.
        :param kwargs: Values that attributes of one class must have.
        """

    def add(obj: Any) -> Any:
        """Store a new instance, and return it."""

    def remove(obj: Any) -> None:
        """Delete an instance's row at the next flush."""

    def flush() -> None:
        """Write pending changes now."""

    def execute(statement: Any, params: Any = None, noresult: bool = False) -> Any:
        """Flush, run one SQL statement, and return its result.

        :param params: The values of the statement's ``?`` marks; None if it has none.
        :param noresult: Whether to return None instead of a result.
        """

    def invalidate(obj: Any = None) -> None:
        """Load again on next use what a raw statement may have changed.

        :param obj: The instance; None means everything in the store.
        """


class IDatabaseSchema(Interface):
    """The schema that the program expects, as the series of patches that makes it.

    A new database is an upgraded empty one: there is no other way to make a table.
    """

    version = Attribute("The number of the last patch that the program knows; 0 if none.")

    def upgrade(dsn: str) -> list[int]:
        """Apply the patches that the database lacks, each in a transaction of its own.

        Any number of upgrades may run at once; one that is killed loses nothing, and
        the next one goes on where it stopped.

        :param dsn: A libpq connection string or URI.
        :return: The numbers of the patches applied by this call, in order.
        :raise DatabaseUnavailable: if the database cannot be reached.
        :raise ServerTooOld: if the server is older than PostgreSQL 14.
        :raise DatabaseTooNew: if it has patches that the program does not know; then
            nothing is changed.
        :raise SchemaForbidden: if the user of the DSN may not change the schema.
        :raise PatchFailed: if a patch fails; the ones before it stay applied.
        """

    def check(dsn: str) -> None:
        """Raise unless the database has exactly the patches that the program knows.

        :param dsn: A libpq connection string or URI.
        :raise DatabaseUnavailable: if the database cannot be reached.
        :raise ServerTooOld: if the server is older than PostgreSQL 14.
        :raise DatabaseTooOld: if patches are missing.
        :raise DatabaseTooNew: if it has patches that the program does not know.
        """
