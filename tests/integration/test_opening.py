"""Entry points open the embedded database, or the one that a DSN names."""

import os
from textwrap import dedent

from psycopg2.extensions import make_dsn

from lp.services.database.embedded import EmbeddedServer
from lp.services.database.places import Places
from lp.services.database.programs import Programs, find_programs, namespace_programs
from tests.integration.postgres import (
    Forwarder,
    HomeTestCase,
    ServerTestCase,
    query,
    run_child,
    wait_for,
)

# An entry point with a schema of its own; the test's lines come after this.
START = """
import lp.services.database
from zope.component import provideUtility
from zope.configuration.xmlconfig import XMLConfig
from lp.services.config import config
from lp.services.database.interfaces import IDatabaseSchema
from lp.services.database.opening import connect_database, open_database
from lp.services.database.schema import DatabaseSchema
from lp.services.database.stores import main_store
from lp.services.errors import ServiceError

config.load(None)
XMLConfig("configure.zcml", lp.services.database)()
provideUtility(DatabaseSchema(sys.argv[1]), IDatabaseSchema)
def ask(statement):
    return main_store().execute(statement).get_one()[0]
"""

LOOK = """
try:
    with open_database() as database:
        print(database.applied, database.server is not None, ask("SELECT count(*) FROM fruit"))
except ServiceError as error:
    print(type(error).__name__, error.exit_code, error)
"""

ALL_PATCHES = "tests.integration.patches_a"
FIRST_PATCH = "tests.integration.patches_older"


class OpeningTestCase(HomeTestCase):
    """Tests that run entry points."""

    def open(self, code=LOOK, schema=ALL_PATCHES, **environment):
        """Run an entry point on the test's home, and return what it says."""
        environment = {"CODEIMPORT_HOME": str(self.home), "CODEIMPORT_DATABASE": "", **environment}
        return run_child(START + code, schema, environment=environment).strip()


class TestEmbedded(OpeningTestCase):
    """Without a DSN."""

    def test_open_makes_and_upgrades_database(self):
        # The first one to open it makes it; the next one finds it as it was.
        self.assertEqual("(1, 2) True 1", self.open())
        self.assertEqual("() True 1", self.open())
        self.assertFalse(EmbeddedServer(self.home).is_alive())

    def test_open_upgrades_older_database(self):
        # A new version of the program brings its patches along.
        self.assertEqual("(1,) True 0", self.open(schema=FIRST_PATCH))
        self.assertEqual("(2,) True 1", self.open())

    def test_open_refuses_newer_database(self):
        # An older program does not touch it, and lets go of the server.
        self.open()
        said = self.open(schema=FIRST_PATCH)
        self.assertRegex(said, "^DatabaseTooNew 76 .* version 2, .* none after version 1;")
        self.assertFalse(EmbeddedServer(self.home).is_alive())

    def test_child_process_connects_to_what_parent_holds(self):
        # The child has no hold of its own, and needs none.
        code = """
            import subprocess
            with open_database():
                child = START + "connect_database(); print(ask('SELECT count(*) FROM fruit'))"
                command = [sys.executable, "-c", "import os, sys" + child, sys.argv[1]]
                print(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        """
        self.assertEqual("1", self.open(f"START = {START!r}\n" + dedent(code)))

    def test_database_is_closed_at_the_end(self):
        # Afterwards there is none, also after an error.
        code = """
            from lp.services.database.errors import DatabaseNotOpen
            try:
                with open_database() as database:
                    ask("SELECT 1")
                    raise LookupError
            except LookupError:
                print(database.server.is_alive())
            try:
                main_store()
            except DatabaseNotOpen as error:
                print(error)
        """
        said = self.open(dedent(code))
        self.assertEqual("False\nNo database is open in this process.", said)


class TestDSN(ServerTestCase, OpeningTestCase):
    """With the DSN of another server."""

    def setUp(self):
        ServerTestCase.setUp(self)
        self.make_folder()

    def test_open_refuses_empty_database(self):
        # Others may be using it: upgrading it is a decision, and the sentence names how.
        said = self.open(CODEIMPORT_DATABASE=self.dsn)
        self.assertRegex(said, "^DatabaseTooOld 76 .*; run `codeimport migrate`.$")
        self.assertIsNone(query(self.dsn, "SELECT to_regclass('patch')"))
        self.assertFalse(self.home.exists())

    def test_open_after_migration(self):
        # The one that migrates says what it did; afterwards it opens for all.
        migrate = LOOK.replace("open_database()", "open_database(migrate=True)")
        self.assertEqual("(1, 2) False 1", self.open(migrate, CODEIMPORT_DATABASE=self.dsn))
        self.assertEqual("() False 1", self.open(CODEIMPORT_DATABASE=self.dsn))
        self.assertFalse(self.home.exists())

    def test_open_by_configuration(self):
        # The configuration names the server unless the environment does.
        self.open(LOOK.replace("()", "(migrate=True)", 1), CODEIMPORT_DATABASE=self.dsn)
        self.home.mkdir()
        (self.home / "codeimport.conf").write_text(f"[database]\ndsn: {self.dsn}\n")
        self.assertEqual("() False 1", self.open())
        said = self.open(CODEIMPORT_DATABASE="host=127.0.0.1 port=1")
        self.assertRegex(said, "^DatabaseUnavailable 69 ")

    def test_open_by_uri_over_network(self):
        # Any form that libpq knows will do.
        forwarder = Forwarder(Places(self.server_home).socket_folder / ".s.PGSQL.5432")
        self.addCleanup(forwarder.close)
        migrate = LOOK.replace("open_database()", "open_database(migrate=True)")
        said = self.open(migrate, CODEIMPORT_DATABASE=forwarder.dsn("test"))
        self.assertEqual("(1, 2) False 1", said)

    def test_open_of_unreachable_server(self):
        # One sentence without the password, and the exit code for what is unavailable.
        for dsn in (
            "postgresql://user:hunter2@127.0.0.1:1/name",
            "host=127.0.0.1 port=1 user=user password=hunter2",
            f"host={self.folder} password=hunter2",
        ):
            with self.subTest(dsn=dsn):
                said = self.open(CODEIMPORT_DATABASE=dsn)
                self.assertRegex(said, r"^DatabaseUnavailable 69 The database cannot .*\.$")
                self.assertNotIn("hunter2", said)

    def test_open_of_unknown_database(self):
        # What the server answers is in the sentence.
        said = self.open(CODEIMPORT_DATABASE=make_dsn(self.dsn, dbname="nowhere"))
        self.assertRegex(said, '^DatabaseUnavailable 69 .*"nowhere" does not exist')

    def test_open_of_malformed_dsn(self):
        # The sentence does not quote what may be a password.
        said = self.open(CODEIMPORT_DATABASE="hunter2 is my password")
        self.assertRegex(said, r"^MalformedDSN 78 The database's DSN is malformed; .*\.$")
        self.assertNotIn("hunter2", said)


class TestOtherServer(OpeningTestCase):
    """A server of another version, as a distribution brings it."""

    def test_database_of_postgresql_16(self):
        # The patches, the stores and the opening need nothing of our own version.
        older = find_programs().parents[1] / "pginstall" / "bin"
        programs = namespace_programs(older) if os.geteuid() == 0 else Programs(older)
        data, log = self.folder / "data", self.folder / "log"
        done = programs.run("initdb", "-D", data, "-U", "u", "-A", "trust", "--no-sync")
        self.assertEqual(0, done.returncode, done.stdout)
        self.addCleanup(programs.run, "pg_ctl", "stop", "-D", data, "-m", "immediate")
        options = ("listen_addresses=", f"unix_socket_directories={self.folder}", "fsync=off")
        pairs = [word for option in options for word in ("-c", option)]
        programs.start("postgres", "-D", data, *pairs, log=log)
        wait_for(lambda: "ready to accept" in log.read_text())
        migrate = LOOK.replace("open_database()", "open_database(migrate=True)")
        dsn = f"host={self.folder} user=u dbname=postgres"
        self.assertEqual("(1, 2) False 1", self.open(migrate, CODEIMPORT_DATABASE=dsn))
