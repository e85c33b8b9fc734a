"""What can be wrong with the database or its server, one class per refusal."""

__all__ = [
    "DatabaseNotOpen",
    "DatabaseTooNew",
    "DatabaseTooOld",
    "DatabaseUnavailable",
    "HomeUnusable",
    "InstallationIncomplete",
    "MalformedDSN",
    "OtherMajorVersion",
    "PatchFailed",
    "RootRefused",
    "SchemaForbidden",
    "ServerTooOld",
    "UnknownEnumValue",
]

import os
from pathlib import Path

from lp.services.errors import ServiceError


class DatabaseUnavailable(ServiceError):
    """The database cannot be reached, or its server does not start."""

    exit_code = os.EX_UNAVAILABLE


class DatabaseNotOpen(ServiceError):
    """No database is open in this process; an entry point must open it first."""

    exit_code = os.EX_SOFTWARE


class ServerTooOld(ServiceError):
    """The server is older than what the schema and the statements need."""

    exit_code = os.EX_UNAVAILABLE

    def __init__(self, version: int, oldest: int) -> None:
        super().__init__(
            f"The database server is PostgreSQL {version // 10000}, and {oldest // 10000} is the"
            " oldest that will do; give the DSN of a newer one, or none for the embedded one."
        )
        self.version = version


class MalformedDSN(ServiceError):
    """The DSN is not one; the message does not quote it, as it may hold a password."""

    exit_code = os.EX_CONFIG

    def __init__(self) -> None:
        super().__init__(
            "The database's DSN is malformed; write a URI such as postgresql://host/name,"
            " or pairs such as 'host=... dbname=...'."
        )


class DatabaseTooOld(ServiceError):
    """The database lacks patches of the schema that this program needs."""

    exit_code = os.EX_PROTOCOL

    def __init__(self, version: int, needed: int) -> None:
        super().__init__(
            f"The database's schema is version {version}, and this program needs version"
            f" {needed}; run `codeimport migrate`."
        )
        self.version = version
        self.needed = needed


class DatabaseTooNew(ServiceError):
    """The database has patches of the schema that this program does not know."""

    exit_code = os.EX_PROTOCOL

    def __init__(self, version: int, known: int) -> None:
        super().__init__(
            f"The database's schema is version {version}, and this program knows none after"
            f" version {known}; use the newer program that made it."
        )
        self.version = version
        self.known = known


class PatchFailed(ServiceError):
    """A patch of the schema failed, and nothing of it was kept."""

    exit_code = os.EX_SOFTWARE

    def __init__(self, version: int, reason: str) -> None:
        super().__init__(f"Patch {version} of the schema failed, nothing of it is kept: {reason}")
        self.version = version


class SchemaForbidden(ServiceError):
    """The database's user may not do what an upgrade of the schema needs."""

    exit_code = os.EX_NOPERM

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The database's user may not change the schema ({reason});"
            " let the owner of the database run `codeimport migrate`."
        )


class OtherMajorVersion(ServiceError):
    """The data folder was made by another major version of PostgreSQL."""

    exit_code = os.EX_CONFIG

    def __init__(self, data: Path, version: str, ours: int) -> None:
        super().__init__(
            f"The data folder {data} is of PostgreSQL {version}, and this program brings"
            f" PostgreSQL {ours}: dump it with the pg_dump of a PostgreSQL {version}, rename the"
            " folder, start this program once, and restore the dump (see doc/database.rst)."
        )
        self.version = version


class HomeUnusable(ServiceError):
    """The home folder cannot hold the embedded server."""

    exit_code = os.EX_CANTCREAT


class RootRefused(ServiceError):
    """PostgreSQL cannot be run by root here, neither in a namespace nor as nobody."""

    exit_code = os.EX_NOPERM

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"PostgreSQL does not run as root, and no other way is open here ({reason});"
            " give the DSN of a server in CODEIMPORT_DATABASE, or do not run as root."
        )


class InstallationIncomplete(ServiceError):
    """The programs of PostgreSQL are not installed."""

    exit_code = os.EX_UNAVAILABLE


class UnknownEnumValue(ServiceError):
    """A column holds a number that its enumeration does not have."""

    exit_code = os.EX_DATAERR

    def __init__(self, column: str, value: object, enum: str) -> None:
        super().__init__(f"The column {column} holds {value!r}, which {enum} does not have.")
        self.column = column
        self.value = value
