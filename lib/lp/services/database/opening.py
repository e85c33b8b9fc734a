"""How entry points open the database: the embedded one, or the one that a DSN names."""

__all__ = ["OpenDatabase", "connect_database", "open_database"]

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from zope.component import getUtility

from lp.services.config import config
from lp.services.database.embedded import EmbeddedServer
from lp.services.database.interfaces import IDatabaseSchema
from lp.services.database.stores import close_stores, set_database


@dataclass(frozen=True)
class OpenDatabase:
    """The database that an entry point has opened.

    :ivar dsn: Its DSN.
    :ivar server: The embedded server, held; None with a DSN of the user's.
    :ivar applied: The numbers of the schema's patches that opening it applied.
    """

    dsn: str
    server: EmbeddedServer | None
    applied: tuple[int, ...]


@contextmanager
def open_database(*, migrate: bool = False) -> Iterator[OpenDatabase]:
    """Open the database for this process, and close it at the end.

    The embedded database is upgraded by whoever opens it.  One that a DSN names is only
    looked at: other programs may be using it.

    :param migrate: Whether to upgrade the database of a DSN as well.
    :raise ServiceError: whatever `EmbeddedServer.acquire` and `IDatabaseSchema` raise, and
        MalformedDSN.
    """
    schema = getUtility(IDatabaseSchema)
    dsn = configured_dsn()
    if dsn is not None:
        if not migrate:
            schema.check(dsn)
        applied = schema.upgrade(dsn) if migrate else []
        with stores_for(dsn):
            yield OpenDatabase(dsn, None, tuple(applied))
        return
    with EmbeddedServer(config.home) as server:
        applied = schema.upgrade(server.dsn)
        with stores_for(server.dsn):
            yield OpenDatabase(server.dsn, server, tuple(applied))


def connect_database() -> None:
    """Use the database that another process, usually the parent, holds open.

    :raise MalformedDSN: if the configuration's DSN is malformed.
    :raise HomeUnusable: if the home cannot have a server.
    """
    set_database(configured_dsn() or EmbeddedServer(config.home).dsn)


def configured_dsn() -> str | None:
    """Return the DSN of the environment, else of the configuration; None means embedded."""
    dsn = os.environ.get("CODEIMPORT_DATABASE", "").strip() or str(config.database.dsn).strip()
    return dsn or None


@contextmanager
def stores_for(dsn: str) -> Iterator[None]:
    """Let the stores be for a database while the block runs."""
    set_database(dsn)
    try:
        yield
    finally:
        close_stores()
        set_database(None)
