"""Storm's stores: one per thread, in the thread's transaction, for the database opened."""

__all__ = ["LibpqDatabase", "close_stores", "get_store", "main_store", "set_database"]

from operator import attrgetter
from typing import Any
from urllib.parse import quote

import transaction
from psycopg2.extensions import ISOLATION_LEVEL_READ_COMMITTED
from storm.database import ConnectionWrapper, register_scheme
from storm.databases.postgres import Postgres
from storm.exceptions import DisconnectionError, Error
from storm.store import Store
from storm.uri import URI
from storm.zope.interfaces import IZStorm
from zope.component import getUtility
from zope.interface import implementer

from lp.services.database.dsn import complete_dsn, connect
from lp.services.database.errors import DatabaseNotOpen
from lp.services.database.interfaces import IStore

STORE_NAME = "main"
SCHEME = "libpq"

implementer(IStore)(Store)


class LibpqDatabase(Postgres):
    """A PostgreSQL database named by a libpq DSN.

    Storm's own class builds the DSN from a URI without quoting it, takes it that a
    failed connection is an error of the program, and isolates by REPEATABLE READ.
    """

    def __init__(self, uri: URI) -> None:
        # The constructor looks for the isolation in the options, and takes it out.
        uri.options["isolation"] = "read-committed"
        super().__init__(uri)
        # Storm unquotes each byte to a character of its own.
        self._dsn = uri.database.encode("latin-1").decode("utf-8")

    @property
    def dsn(self) -> str:
        """The completed DSN."""
        return self._dsn

    def raw_connect(self) -> Any:
        """Connect; a failure is a `DisconnectionError`, which is worth a retry.

        :raise ServerTooOld: if the server is older than PostgreSQL 14.
        """
        try:
            return super().raw_connect()
        except Error as error:
            raise DisconnectionError(str(error).strip()) from error

    def _raw_connect(self) -> Any:
        """Connect, at READ COMMITTED whatever the server's default is."""
        connection = connect(self._dsn)
        connection.set_session(isolation_level=ISOLATION_LEVEL_READ_COMMITTED, autocommit=False)
        self._version = connection.server_version
        return ConnectionWrapper(connection, self)

    def _make_combined_exception_type(self, wrapper_type: type, dbapi_type: type) -> type:
        """Make an exception class whose `pgcode` and the like are values, not methods."""
        combined: type = super()._make_combined_exception_type(wrapper_type, dbapi_type)
        for name in self._psycopg_error_attributes:
            setattr(combined, name, property(attrgetter(f"_{name}")))
        return combined


def uri_of(dsn: str) -> str:
    """Return the URI that makes Storm use a `LibpqDatabase`.

    :param dsn: A libpq connection string or URI.
    :raise MalformedDSN: if it is neither.
    """
    return f"{SCHEME}:{quote(complete_dsn(dsn), safe='')}"


register_scheme(SCHEME, LibpqDatabase)

# The completed DSN of the database that is open in this process; None if there is none.
_dsn: str | None = None


def set_database(dsn: str | None) -> None:
    """Say which database the stores of this process are for; nothing connects yet.

    Each thread's next `main_store` is for this one.

    :param dsn: A libpq connection string or URI; None means none any more.
    :raise MalformedDSN: if it is neither.
    """
    global _dsn  # noqa: PLW0603 - one database per process, as ZStorm's defaults are
    _dsn = None if dsn is None else complete_dsn(dsn)
    if _dsn is not None:
        getUtility(IZStorm).set_default_uri(STORE_NAME, uri_of(_dsn))


def main_store() -> Any:
    """Return this thread's store, connected now if it was not.

    :raise DatabaseNotOpen: if no database is open.
    :raise storm.exceptions.DisconnectionError: if the server cannot be reached.
    :raise ServerTooOld: if the server is older than PostgreSQL 14.
    """
    if _dsn is None:
        raise DatabaseNotOpen("No database is open in this process.")
    zstorm = getUtility(IZStorm)
    store = zstorm.get(STORE_NAME)
    if store.get_database().dsn != _dsn:
        close_stores()
        store = zstorm.get(STORE_NAME)
    return store


def get_store(context: Any) -> Any:
    """Return the store of a model class or instance: the adapter to `IStore`."""
    store = None if isinstance(context, type) else Store.of(context)
    return main_store() if store is None else store


def close_stores() -> None:
    """Abort this thread's transaction, and close this thread's connections.

    Other threads close theirs when they end, or by calling this themselves.
    """
    # A store that is closed inside a transaction could not take part in its end.
    transaction.abort()
    zstorm = getUtility(IZStorm)
    for _, store in list(zstorm.iterstores()):
        zstorm.remove(store)
        store.close()
