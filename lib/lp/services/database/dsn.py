"""Connection strings of libpq: completed, connected to, and never shown with a password."""

__all__ = ["OLDEST_SERVER", "complete_dsn", "connect", "open_connection"]

from typing import Any

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

from lp.services.database.errors import DatabaseUnavailable, MalformedDSN, ServerTooOld

OLDEST_SERVER = 140000

# What a DSN says itself wins.  The times are in seconds but the last, which is in
# milliseconds; libpq ignores all but the first three on Unix sockets.  Together they
# end a connection whose other end vanished within about a minute.
DEFAULTS = {
    "application_name": "codeimport",
    "client_encoding": "UTF8",
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}


def complete_dsn(dsn: str) -> str:
    """Return a DSN as key=value pairs, with our defaults for what it leaves open.

    :param dsn: A libpq connection string or URI.
    :raise MalformedDSN: if it is neither.
    """
    return str(make_dsn(**{**DEFAULTS, **parse(dsn)}))


def parse(dsn: str) -> dict[str, str]:
    """Return a DSN's pairs.

    :raise MalformedDSN: if libpq does not understand it.
    """
    try:
        if "\0" in dsn:
            # libpq would take no notice of the rest.
            raise MalformedDSN
        return dict(parse_dsn(dsn))
    except (psycopg2.ProgrammingError, UnicodeError):
        # Not even the cause is kept: libpq quotes what it does not understand.
        raise MalformedDSN from None


def connect(dsn: str) -> Any:
    """Return a psycopg2 connection in autocommit, with UTC as its time zone.

    :param dsn: A completed DSN.
    :raise psycopg2.OperationalError: if the server does not take the connection.
    :raise ServerTooOld: if the server is older than PostgreSQL 14.
    """
    connection = psycopg2.connect(dsn)
    try:
        if connection.server_version < OLDEST_SERVER:
            raise ServerTooOld(connection.server_version, OLDEST_SERVER)
        connection.autocommit = True
        with connection.cursor() as cursor:
            # Said after connecting: poolers refuse it in the connection's options.
            cursor.execute("SET TimeZone TO 'UTC'")
    except BaseException:
        connection.close()
        raise
    return connection


def open_connection(dsn: str) -> Any:
    """Return what `connect` returns, for callers at the edge.

    :param dsn: A libpq connection string or URI.
    :raise MalformedDSN: if the DSN is malformed.
    :raise DatabaseUnavailable: if the server does not take the connection.
    :raise ServerTooOld: if the server is older than PostgreSQL 14.
    """
    try:
        return connect(complete_dsn(dsn))
    except psycopg2.Error as error:
        raise DatabaseUnavailable(
            f"The database cannot be reached: {explain(error, dsn)}"
        ) from None


def explain(error: Exception, dsn: str) -> str:
    """Return libpq's message as one line that ends in a full stop and holds no password."""
    # One line for each address that was tried; libpq's questions to the reader are indented.
    lines = [line.strip() for line in str(error).splitlines() if line[:1].strip()]
    text = "; ".join(lines)
    if password := parse(dsn).get("password"):
        text = text.replace(password, "***")
    return f"{text or type(error).__name__}".rstrip(".?!") + "."
