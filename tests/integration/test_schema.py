"""Upgrades of a schema: raced, killed, repeated, refused."""

import contextlib
import io
import signal
import sys
import tempfile
import textwrap
import threading
from ast import literal_eval
from pathlib import Path

from psycopg2.extensions import make_dsn
from zope.interface.verify import verifyObject

from lp.services.database.errors import (
    DatabaseTooNew,
    DatabaseTooOld,
    DatabaseUnavailable,
    PatchFailed,
    SchemaForbidden,
)
from lp.services.database.interfaces import IDatabaseSchema
from lp.services.database.schema import DatabaseSchema
from tests.integration.postgres import ServerTestCase, query, start_child, wait_for

TABLE = "CREATE TABLE fruit (id integer PRIMARY KEY, ripe timestamptz DEFAULT CURRENT_TIMESTAMP)"
COLUMN = "ALTER TABLE fruit ADD COLUMN name text"
ROW = "INSERT INTO fruit (id, name) VALUES (1, 'fig')"

UPGRADE = """
from lp.services.database.schema import DatabaseSchema
print("ready", flush=True)
sys.stdin.readline()
sys.path.insert(0, sys.argv[2])
print(DatabaseSchema(sys.argv[3]).upgrade(sys.argv[1]))
"""


class TestDatabaseSchema(ServerTestCase):
    """A schema made of patches that the test writes."""

    def make_schema(self, *patches):
        """Return a schema whose patches run one statement each."""
        bodies = [f"store.execute({statement!r})" for statement in patches]
        return DatabaseSchema(self.make_package(*bodies))

    def make_package(self, *bodies):
        """Return the name of a new package of patches with these function bodies."""
        folder = Path(tempfile.mkdtemp(prefix="patches_", dir=PATCHES.name))
        (folder / "__init__.py").touch()
        for number, body in enumerate(bodies, start=1):
            source = "import os, time\n\n\ndef apply(store):\n" + textwrap.indent(body, "    ")
            (folder / f"patch_{number}.py").write_text(source + "\n")
        return folder.name

    def count_tables(self):
        """Return how many tables the database has."""
        return query(self.dsn, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")

    def versions(self):
        """Return the numbers of the patches that the database has."""
        return query(self.dsn, "SELECT array_agg(version ORDER BY version) FROM patch")

    def test_schema_provides_its_interface(self):
        # The lead's utility is one of these.
        self.assertTrue(verifyObject(IDatabaseSchema, self.make_schema(TABLE)))

    def test_version_is_that_of_last_patch(self):
        # A program without patches knows version 0.
        self.assertEqual(2, self.make_schema(TABLE, COLUMN).version)
        self.assertEqual(0, self.make_schema().version)

    def test_upgrade_of_empty_database_applies_every_patch(self):
        # A new database is an upgraded empty one.
        self.assertEqual([1, 2, 3], self.make_schema(TABLE, COLUMN, ROW).upgrade(self.dsn))
        self.assertEqual("fig", query(self.dsn, "SELECT name FROM fruit"))
        self.assertEqual([1, 2, 3], self.versions())

    def test_upgrade_repeated_does_nothing(self):
        # What was applied is not applied again.
        schema = self.make_schema(TABLE, COLUMN, ROW)
        schema.upgrade(self.dsn)
        self.assertEqual([], schema.upgrade(self.dsn))

    def test_upgrade_applies_only_what_is_missing(self):
        # Patches come in the order of their numbers, from where the last upgrade ended.
        self.make_schema(TABLE).upgrade(self.dsn)
        self.assertEqual([2, 3], self.make_schema(TABLE, COLUMN, ROW).upgrade(self.dsn))

    def test_tenth_patch_comes_after_ninth(self):
        # Numbers are compared, not names.
        statements = [f"CREATE TABLE t{number} ()" for number in range(1, 12)]
        applied = self.make_schema(*statements).upgrade(self.dsn)
        self.assertEqual(list(range(1, 12)), applied)

    def test_upgrade_of_newer_database_changes_nothing(self):
        # An old program neither adds its own patches nor takes any away.
        self.make_schema(TABLE, COLUMN, ROW).upgrade(self.dsn)
        older = self.make_schema(TABLE, COLUMN)
        for operation in (older.upgrade, older.check):
            with self.assertRaisesRegex(DatabaseTooNew, "version 3, .* none after version 2"):
                operation(self.dsn)
        self.assertEqual([1, 2, 3], self.versions())

    def test_check_of_older_database_names_command(self):
        # The sentence says which versions meet, and what to run.
        self.make_schema(TABLE).upgrade(self.dsn)
        with self.assertRaisesRegex(DatabaseTooOld, "is version 1, .* version 3; .*odeimport mig"):
            self.make_schema(TABLE, COLUMN, ROW).check(self.dsn)

    def test_check_of_empty_database_changes_nothing(self):
        # Looking makes no table.
        with self.assertRaises(DatabaseTooOld):
            self.make_schema(TABLE).check(self.dsn)
        self.assertEqual(0, self.count_tables())

    def test_check_of_upgraded_database(self):
        # There is nothing to say.
        schema = self.make_schema(TABLE)
        schema.upgrade(self.dsn)
        self.assertIsNone(schema.check(self.dsn))

    def test_check_of_unreachable_server(self):
        # One sentence, which never holds the password.
        dsn = "host=127.0.0.1 port=1 user=u password=hunter2 dbname=d"
        with self.assertRaisesRegex(DatabaseUnavailable, "^The database .*refused.*") as caught:
            self.make_schema(TABLE).check(dsn)
        self.assertNotIn("hunter2", str(caught.exception))

    def test_failing_patch_leaves_earlier_ones(self):
        # Of the patch itself nothing is kept, neither what it did nor that it was done.
        name = self.make_package(
            f"store.execute({TABLE!r})",
            "store.execute('CREATE TABLE half ()'); store.execute('SELECT nonsense')",
        )
        with self.assertRaisesRegex(PatchFailed, 'Patch 2 .*: column "nonsense" does not'):
            DatabaseSchema(name).upgrade(self.dsn)
        self.assertEqual([1], self.versions())
        self.assertEqual(2, self.count_tables())

    def test_patch_with_error_of_python_leaves_nothing(self):
        # Not only SQL can fail.
        name = self.make_package("store.execute('CREATE TABLE half ()'); {}['no']")
        with self.assertRaisesRegex(PatchFailed, "Patch 1 .*KeyError"):
            DatabaseSchema(name).upgrade(self.dsn)
        self.assertEqual(0, self.count_tables())

    def test_nothing_is_printed(self):
        # Whoever calls decides what people see, when it fails as well.
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            self.make_schema(TABLE).upgrade(self.dsn)
            with self.assertRaises(PatchFailed):
                self.make_schema(TABLE, "SELECT nonsense").upgrade(self.dsn)
        self.assertEqual("", printed.getvalue())

    def test_racing_upgrades_all_succeed(self):
        # Eight processes at once: each patch is applied by one of them.
        name = self.make_package(
            *(f"time.sleep(0.05); store.execute('CREATE TABLE t{n} ()')" for n in range(5))
        )
        children = [start_child(UPGRADE, self.dsn, PATCHES.name, name) for _ in range(8)]
        for child in children:
            self.assertEqual("ready\n", child.stdout.readline())
        for child in children:
            child.stdin.write("go\n")
            child.stdin.flush()
        applied = []
        for child in children:
            output, errors = child.communicate(timeout=60)
            self.assertEqual("", errors)
            applied.extend(literal_eval(output))
        self.assertEqual([1, 2, 3, 4, 5], sorted(applied))

    def test_racing_threads_all_succeed(self):
        # Threads of one process wait for each other in the same way.
        schema = self.make_schema(TABLE, COLUMN, ROW)
        applied = []
        threads = [
            threading.Thread(target=lambda: applied.extend(schema.upgrade(self.dsn)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([1, 2, 3], sorted(applied))

    def test_upgrade_killed_between_patches_goes_on(self):
        # The second patch waits in its transaction until the process is killed.
        name = self.make_package(
            f"store.execute({TABLE!r})",
            f"store.execute({COLUMN!r})\nif 'HOLD' in os.environ: time.sleep(60)",
            f"store.execute({ROW!r})",
        )
        child = start_child(UPGRADE, self.dsn, PATCHES.name, name, environment={"HOLD": "1"})
        child.stdin.write("go\n")
        child.stdin.flush()
        wait_for(
            lambda: query(
                self.server.dsn,
                "SELECT count(*) FROM pg_stat_activity WHERE datname = 'test'"
                " AND state = 'idle in transaction' AND query LIKE 'ALTER%'",
            )
        )
        child.send_signal(signal.SIGKILL)
        child.communicate()
        self.assertEqual([1], self.versions())
        self.assertEqual([2, 3], DatabaseSchema(name).upgrade(self.dsn))

    def test_upgrade_by_ordinary_role_in_new_york(self):
        # Neither a superuser nor a time zone is needed; the patches see UTC.
        query(self.dsn, "DROP ROLE IF EXISTS plain")
        query(self.dsn, "CREATE ROLE plain LOGIN")
        query(self.dsn, "ALTER DATABASE test SET TimeZone = 'America/New_York'")
        query(self.dsn, "ALTER DATABASE test OWNER TO plain")
        dsn = make_dsn(self.dsn, user="plain")
        zone = "CREATE TABLE zone AS SELECT current_setting('TimeZone') AS name"
        self.assertEqual([1, 2], self.make_schema(TABLE, zone).upgrade(dsn))
        self.assertEqual("UTC", query(dsn, "SELECT name FROM zone"))

    def test_upgrade_without_permission(self):
        # A role that may only read is told that the owner has to do it.
        query(self.dsn, "DROP ROLE IF EXISTS reader")
        query(self.dsn, "CREATE ROLE reader LOGIN")
        with self.assertRaisesRegex(SchemaForbidden, "permission denied .*let the owner"):
            self.make_schema(TABLE).upgrade(make_dsn(self.dsn, user="reader"))


# The folder of the packages that the tests write, which is on the path for as long.
PATCHES = tempfile.TemporaryDirectory(prefix="patches-", dir="/tmp")
sys.path.append(PATCHES.name)
