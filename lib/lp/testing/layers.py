"""What tests run on: components; a database; sample data for documents; a real server.

Everything happens in a home folder of its own, which is gone at the end.
"""

__all__ = ["ComponentLayer", "DatabaseLayer", "DocumentLayer", "ServerLayer"]

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import psycopg2
import transaction
from psycopg2.extensions import make_dsn
from psycopg2.sql import SQL, Composable, Identifier, Literal
from zope.component import getUtility

from lp.services.database.embedded import EmbeddedServer
from lp.services.database.interfaces import IDatabaseSchema
from lp.services.database.stores import close_stores, set_database
from lp.services.startup import initialize
from lp.testing.sampledata import make_sample_data
from lp.testing.server import ServerProcess

PATCH_TABLE = "patch"


class ComponentLayer:
    """The components are registered, and the configuration is the default one."""

    home: Path
    _environment: dict[str, str]

    @classmethod
    def setUp(cls) -> None:
        """Make the home folder, forget the user's settings, and register the components."""
        names = [name for name in os.environ if name.startswith("CODEIMPORT_")]
        cls._environment = {name: os.environ.pop(name) for name in names}
        ComponentLayer.home = Path(tempfile.mkdtemp(prefix="codeimport-test-"))
        os.environ["CODEIMPORT_HOME"] = str(cls.home)
        initialize()

    @classmethod
    def tearDown(cls) -> None:
        """Remove the home folder, and restore the user's settings."""
        del os.environ["CODEIMPORT_HOME"]
        os.environ.update(cls._environment)
        shutil.rmtree(cls.home, ignore_errors=True)


class DatabaseLayer(ComponentLayer):
    """A database that is a copy of a migrated one, and empty at the start of each test.

    :cvar server: The embedded server; its own database is the one that is copied.
    :cvar dsn: The DSN of the copy, which the stores are for.
    """

    server: EmbeddedServer
    dsn: str
    _cleaner: Any
    _cleaning: Any

    @classmethod
    def setUp(cls) -> None:
        """Start the server, migrate, and copy."""
        layer = DatabaseLayer
        layer.server = EmbeddedServer(cls.home, durable=False)
        layer.server.acquire()
        getUtility(IDatabaseSchema).upgrade(layer.server.dsn)
        layer.dsn = cls.create_database("test")
        set_database(layer.dsn)
        layer._cleaner = psycopg2.connect(layer.dsn)
        layer._cleaner.autocommit = True
        layer._cleaning = make_cleaning_statement(layer._cleaner)

    @classmethod
    def tearDown(cls) -> None:
        """Stop the server."""
        close_stores()
        set_database(None)
        DatabaseLayer._cleaner.close()
        DatabaseLayer.server.release()

    @classmethod
    def testSetUp(cls) -> None:
        """Empty the database."""
        transaction.abort()
        with DatabaseLayer._cleaner.cursor() as cursor:
            cursor.execute(DatabaseLayer._cleaning)

    @classmethod
    def testTearDown(cls) -> None:
        """Drop what the test has left open."""
        close_stores()

    @classmethod
    def create_database(cls, name: str) -> str:
        """Copy the migrated database, for this layer or for a test that needs its own.

        :param name: The name of the copy.
        :return: The DSN of the copy.
        """
        return run_on_template(
            cls.server.dsn,
            name,
            SQL("CREATE DATABASE {} TEMPLATE codeimport"),
        )

    @classmethod
    def drop_database(cls, name: str) -> None:
        """Drop a copy, whoever is connected to it.

        :param name: The name of the copy.
        """
        run_on_template(cls.server.dsn, name, SQL("DROP DATABASE {} WITH (FORCE)"))


class DocumentLayer(DatabaseLayer):
    """A database with the sample data that documents speak of."""

    @classmethod
    def setUp(cls) -> None:
        """There is nothing to do; the data is made for each document."""

    @classmethod
    def tearDown(cls) -> None:
        """There is nothing to do."""

    @classmethod
    def testSetUp(cls) -> None:
        """Make the sample data."""
        make_sample_data()
        transaction.commit()

    @classmethod
    def testTearDown(cls) -> None:
        """There is nothing to do."""


class ServerLayer(DatabaseLayer):
    """A real scheduler, in processes of its own, on the same database.

    :cvar process: The server.
    :cvar url: Where it answers.
    """

    process: ServerProcess
    url: str

    @classmethod
    def setUp(cls) -> None:
        """Start the server."""
        layer = ServerLayer
        layer.process = ServerProcess(cls.home, dsn=cls.dsn)
        layer.url = layer.process.start()

    @classmethod
    def tearDown(cls) -> None:
        """Stop the server."""
        ServerLayer.process.stop()

    @classmethod
    def testSetUp(cls) -> None:
        """There is nothing to do."""

    @classmethod
    def testTearDown(cls) -> None:
        """There is nothing to do."""


def run_on_template(dsn: str, name: str, statement: SQL) -> str:
    """Run a statement about a database, and return that database's DSN."""
    connection = psycopg2.connect(make_dsn(dsn, dbname="postgres"))
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement.format(Identifier(name)))
    finally:
        connection.close()
    copy: str = make_dsn(dsn, dbname=name)
    return copy


def make_cleaning_statement(connection: Any) -> Any:
    """Return one statement that empties every table, and starts every sequence again.

    Rows are deleted, which takes a fraction of what TRUNCATE does on small tables.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace = 'public'::regnamespace AND relname <> %s",
            (PATCH_TABLE,),
        )
        tables = [name for (name,) in cursor.fetchall()]
    parts: list[Composable] = [
        SQL("SET session_replication_role = replica; SET lock_timeout = '20s'")
    ]
    for table in tables:
        sequence = SQL("SELECT setval(pg_get_serial_sequence({}, 'id'), 1, false)")
        parts.append(SQL("DELETE FROM {}").format(Identifier(table)))
        parts.append(sequence.format(Literal(table)))
    return SQL("; ").join(parts)
