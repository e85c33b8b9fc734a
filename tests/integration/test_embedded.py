"""The embedded server: shared, private, and at home in any folder."""

import os
import subprocess
import sys
import unittest
from pathlib import Path

from lp.services.database.cluster import SETTINGS
from lp.services.database.embedded import EmbeddedServer
from lp.services.database.errors import (
    DatabaseUnavailable,
    HomeUnusable,
    OtherMajorVersion,
)
from lp.services.database.places import Places
from lp.services.database.programs import Programs, find_programs, namespace_programs
from tests.integration.postgres import (
    HomeTestCase,
    ServerTestCase,
    run_child,
    start_child,
)

IS_ROOT = os.geteuid() == 0
NOBODY = 65534

# Becomes another user, and says how connecting to the socket goes.
CONNECT_AS_NOBODY = f"""
import os, socket, sys
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
try:
    socket.socket(socket.AF_UNIX).connect(sys.argv[1])
except OSError as error:
    print(type(error).__name__)
else:
    print("connected")
"""

# Acquires, says so, and releases when it is told to.
HOLD = """
server = EmbeddedServer(Path(sys.argv[1]), durable=False)
server.acquire()
print("held", flush=True)
sys.stdin.readline()
server.release()
"""


class TestServer(ServerTestCase):
    """A server that runs."""

    def test_dsn_names_database_of_newest_dialect(self):
        # The database is there, in UTF-8, and its server is the one that we brought.
        version, encoding = self.query(
            "SELECT current_setting('server_version_num') || ' '"
            " || pg_encoding_to_char(encoding) FROM pg_database WHERE datname = 'codeimport'"
        ).split()
        self.assertEqual(("18", "UTF8"), (version[:2], encoding))

    def test_settings_reached_server(self):
        # What is to hold for good is in force.
        for name, value in SETTINGS.items():
            self.assertEqual(value, self.query(f"SHOW {name}"), name)

    def test_is_alive_while_held(self):
        # A server that runs listens; one that was never started does not.
        self.assertTrue(self.server.is_alive())
        self.assertFalse(EmbeddedServer(self.server_home / "none").is_alive())

    def test_revive_does_nothing_while_server_answers(self):
        # The watchdog may ask as often as it likes.
        before = self.postmaster()
        self.assertFalse(self.server.revive())
        self.assertEqual(before, self.postmaster())

    def test_server_holds_no_lock_and_no_terminal(self):
        # It is the leader of its own session, and inherited nothing but its log.
        pid = self.postmaster()
        self.assertEqual(pid, os.getsid(pid))
        if sys.platform == "linux":
            opened = {os.path.realpath(file) for file in Path(f"/proc/{pid}/fd").iterdir()}
            self.assertEqual([], [name for name in opened if name.endswith(".lock")])

    @unittest.skipUnless(sys.platform == "linux", "procfs tells who listens")
    def test_server_listens_to_no_network(self):
        # None of its sockets is one of TCP.
        links = (str(file.readlink()) for file in Path(f"/proc/{self.postmaster()}/fd").iterdir())
        own = {link[8:-1] for link in links if link.startswith("socket:[")}
        network = {
            line.split()[9]
            for name in ("tcp", "tcp6")
            for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
        }
        self.assertTrue(own)
        self.assertEqual(set(), own & network)

    @unittest.skipUnless(IS_ROOT, "only root can become somebody else")
    def test_another_user_cannot_connect(self):
        # The folders above are open to all; the socket's own folder is not.
        self.server_home.chmod(0o755)
        path = self.socket()
        said = subprocess.run(
            [sys.executable, "-I", "-c", CONNECT_AS_NOBODY, path],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        self.assertEqual("PermissionError", said.stdout.strip())

    def query(self, statement):
        """Return what a statement gives in the server's database."""
        return HomeTestCase.query(self, self.server.dsn, statement)

    def postmaster(self):
        """Return the server's process id."""
        return HomeTestCase.postmaster(self, self.server_home)

    def socket(self):
        """Return the path of the server's socket."""
        return str(self.server_home / "postgresql" / "socket" / ".s.PGSQL.5432")


class TestSharing(HomeTestCase):
    """Who starts the server, and who stops it."""

    def test_release_by_last_stops_server(self):
        # The first to leave changes nothing for the other.
        first, second = self.make_server(), self.make_server()
        first.acquire()
        second.acquire()
        first.release()
        self.assertTrue(second.is_alive())
        second.release()
        self.assertFalse(second.is_alive())
        self.assertEqual((1, 1), self.count_starts())

    def test_acquire_and_release_repeated_change_nothing(self):
        # One hold is one hold, however often it is asked for.
        server = self.make_server()
        server.acquire()
        server.acquire()
        server.release()
        self.assertFalse(server.is_alive())
        server.release()
        self.assertEqual((1, 1), self.count_starts())

    def test_revive_without_hold_starts_nothing(self):
        # Who does not hold the server could not see to its end, either.
        server = self.make_server()
        self.assertFalse(server.revive())
        self.assertFalse(self.home.exists())

    def test_twelve_processes_at_once_share_one_server(self):
        # Each round has one start, however many come at once, and one stop.
        for round_number in (1, 2, 3):
            children = [start_child(HOLD, self.home) for _ in range(12)]
            self.assertEqual(["held\n"] * 12, [child.stdout.readline() for child in children])
            for child in children:
                _, errors = child.communicate("leave\n", timeout=60)
                self.assertEqual("", errors)
            self.assertEqual((round_number, round_number), self.count_starts())

    def test_data_survives_next_start(self):
        # What one user of the server has written, the next one reads.
        with self.make_server() as server:
            self.query(server.dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
        with self.make_server() as server:
            self.assertEqual(42, self.query(server.dsn, "SELECT answer FROM kept"))

    def test_durable_unless_told_otherwise(self):
        # In production a commit waits for the disk.
        for durable, setting in ((True, "on"), (False, "off")):
            with self.make_server(durable=durable) as server:
                for name in ("fsync", "synchronous_commit", "full_page_writes"):
                    self.assertEqual(setting, self.query(server.dsn, f"SHOW {name}"))

    def test_libpq_environment_is_not_inherited(self):
        # Settings for somebody's own server neither reach ours nor lead us astray.
        run_child(
            "with EmbeddedServer(Path(sys.argv[1]), durable=False): pass",
            self.home,
            environment={"PGDATA": "/nonexistent", "PGPORT": "1", "PGUSER": "mallory"},
        )
        self.assertEqual((1, 1), self.count_starts())

    def test_large_log_is_put_aside(self):
        # The log cannot fill the disk, and one old one is kept.
        with self.make_server():
            pass
        log = self.home / "postgresql" / "server.log"
        os.truncate(log, 20_000_000)
        with self.make_server():
            self.assertLess(log.stat().st_size, 20_000_000)
        self.assertTrue(log.with_suffix(".log.old").exists())


class TestHomes(HomeTestCase):
    """Folders that a server has to live in."""

    def test_home_with_odd_characters(self):
        # Spaces, quotes, dollars, commas and letters of any alphabet are only characters.
        for name in ("a b", "it's", 'say "x"', "$HOME `id`", "back\\slash", "a,b", "Köln", "ж"):
            with self.subTest(name=name):
                server = self.make_server(self.folder / name)
                with server:
                    self.assertEqual(1, self.query(server.dsn, "SELECT 1"))
                self.assertFalse(server.is_alive())

    def test_home_with_newline_is_refused(self):
        # PostgreSQL's own tools cannot name such a folder; no data is made in it.
        with self.assertRaisesRegex(HomeUnusable, "has a line break"):
            self.make_server(self.folder / "a\nb").acquire()
        self.assertEqual([], list(self.folder.iterdir()))

    def test_home_given_by_link_is_same_home(self):
        # Two names of one folder lead to one server.
        link = self.folder / "link"
        link.symlink_to(self.home)
        with self.make_server() as first, self.make_server(link) as second:
            self.assertEqual(first.dsn, second.dsn)
        self.assertEqual((1, 1), self.count_starts())

    def test_home_with_long_path_puts_socket_elsewhere(self):
        # The socket gets a private folder with a short name; two processes find the same.
        home = self.folder / ("x" * 120)
        server = self.make_server(home)
        folder = Places(home).socket_folder
        with server:
            self.assertEqual(1, self.query(server.dsn, "SELECT 1"))
            self.assertEqual(0o40700, folder.stat().st_mode)
            said = run_child("print(EmbeddedServer(Path(sys.argv[1])).dsn)", home)
        self.assertEqual(server.dsn, said.strip())
        self.assertFalse(folder.exists())

    def test_home_with_long_path_refuses_folder_of_somebody_else(self):
        # Whoever made the folder first could read what goes through the socket.
        home = self.folder / ("x" * 120)
        folder = Places(home).socket_folder
        folder.mkdir()
        self.addCleanup(folder.rmdir)
        folder.chmod(0o777)
        with self.assertRaisesRegex(HomeUnusable, "is open to other users"):
            self.make_server(home).acquire()

    @unittest.skipUnless(IS_ROOT, "only root can give folders away")
    def test_folder_of_another_user_is_refused(self):
        # The sentence names both users.
        folder = self.home / "postgresql"
        folder.mkdir(parents=True, mode=0o700)
        os.chown(folder, NOBODY, NOBODY)
        with self.assertRaisesRegex(HomeUnusable, f"belongs to the user {NOBODY}.*user 0"):
            self.make_server().acquire()

    def test_home_that_is_a_file_is_refused(self):
        # One sentence says which folder, and where to name another.
        self.home.write_text("")
        with self.assertRaisesRegex(HomeUnusable, f"{self.home} cannot be .*CODEIMPORT_HOME"):
            self.make_server().acquire()

    @unittest.skipUnless(IS_ROOT, "for root alone PostgreSQL runs as somebody else")
    def test_home_below_private_folder_works_and_opens_nothing(self):
        # Nobody but root may enter, and that is so afterwards.
        private = self.folder / "private"
        private.mkdir(mode=0o700)
        before = [path.stat() for path in (self.folder, private)]
        with self.make_server(private / "home") as server:
            self.assertEqual(1, self.query(server.dsn, "SELECT 1"))
        after = [path.stat() for path in (self.folder, private)]
        self.assertEqual(
            [(found.st_mode, found.st_uid, found.st_gid) for found in before],
            [(found.st_mode, found.st_uid, found.st_gid) for found in after],
        )

    def test_everything_is_private_to_its_owner(self):
        # No file of the server can be read by others, even if folders above it are open.
        with self.make_server():
            for path in (self.home / "postgresql").rglob("*"):
                if path.is_socket():
                    continue
                self.assertEqual(0, path.stat().st_mode & 0o077, path)

    def test_start_that_fails_shows_end_of_log(self):
        # The reason is in the message; nobody has to look for the log.
        with self.make_server():
            pass
        with (self.home / "postgresql" / "data" / "postgresql.conf").open("a") as file:
            file.write("max_connections = many\n")
        with self.assertRaisesRegex(
            DatabaseUnavailable, r"server\.log:\n(.*\n)*.*max_connections"
        ):
            self.make_server().acquire()


class TestOtherData(HomeTestCase):
    """Data folders that are not ours to start."""

    def test_other_major_version_is_refused_before_anything_starts(self):
        # A data folder that a real PostgreSQL 16 has made is told from ours.
        data = self.home / "postgresql" / "data"
        data.parent.mkdir(parents=True, mode=0o700)
        older = find_programs().parents[1] / "pginstall" / "bin"
        programs = namespace_programs(older) if IS_ROOT else Programs(older)
        done = programs.run("initdb", "-D", data, "-A", "trust", "--no-sync")
        self.assertEqual(0, done.returncode, done.stdout)
        with self.assertRaisesRegex(
            OtherMajorVersion, "is of PostgreSQL 16, and this program brings PostgreSQL 18: dump"
        ):
            self.make_server().acquire()
        self.assertFalse((self.home / "postgresql" / "server.log").exists())

    def test_folder_without_version_is_refused(self):
        # Something else is in the place of the data folder: it is not touched.
        data = self.home / "postgresql" / "data"
        data.mkdir(parents=True)
        data.parent.chmod(0o700)
        (data / "letter.txt").write_text("Dear")
        with self.assertRaisesRegex(HomeUnusable, "is not a data folder"):
            self.make_server().acquire()
        self.assertEqual([data / "letter.txt"], list(data.iterdir()))


# Acquires with the fallback's folder redirected, and looks around.
AS_NOBODY = """
from lp.services.database import elsewhere
from lp.services.database.dsn import connect
elsewhere.VAR_LIB = Path(sys.argv[2])
server = EmbeddedServer(Path(sys.argv[1]), durable=False)
with server:
    dsn = server.dsn
    connect(dsn).close()
    data = os.path.realpath(Path(sys.argv[1]) / "postgresql" / "data")
    pid = int(Path(data, "postmaster.pid").read_text().split()[0])
    print(os.stat(f"/proc/{pid}").st_uid, os.stat(data).st_uid, data)
    if os.fork() == 0:
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
        try:
            connect(dsn)
        except Exception as error:
            print("authentication failed" in str(error))
        os._exit(0)
    os.wait()
"""


WITHOUT_NAMESPACES = """
from tests.integration.postgres import forbid_namespaces
forbid_namespaces()
"""


@unittest.skipUnless(IS_ROOT and sys.platform == "linux", "this is about root and namespaces")
class TestRootWithoutNamespaces(HomeTestCase):
    """Root may not make user namespaces, as in many containers."""

    def setUp(self):
        super().setUp()
        self.var_lib = self.folder / "lib"
        self.var_lib.mkdir()

    def acquire(self, code=AS_NOBODY):
        """Run the script where namespaces are forbidden, and return its words."""
        return run_child(WITHOUT_NAMESPACES + code, self.home, self.var_lib).split()

    def test_private_home_has_data_outside(self):
        # PostgreSQL runs as nobody, in a folder that nobody can enter; but others who are
        # nobody, too, are not let in.  The next start finds the data again.
        self.home.mkdir(mode=0o700)
        owner, data_owner, data, refused = self.acquire()
        self.assertEqual((str(NOBODY), str(NOBODY), "True"), (owner, data_owner, refused))
        self.assertIn(self.var_lib, Path(data).parents)
        self.assertEqual(data, self.acquire()[2])
        self.assertEqual(0o40700, self.home.stat().st_mode)

    def test_open_home_has_data_inside(self):
        # What belongs to the home stays in the home if it can, and moves with it.
        data = self.acquire()[2]
        self.assertIn(self.home, Path(data).parents)
        self.home = self.home.rename(self.folder / "moved")
        self.assertIn(self.home, Path(self.acquire()[2]).parents)

    def test_data_stays_with_nobody_once_namespaces_are_allowed(self):
        # A server that had to be nobody's is so for good; it is never begun afresh.
        self.home.mkdir(mode=0o700)
        data = self.acquire()[2]
        again = run_child(AS_NOBODY, self.home, self.var_lib).split()
        self.assertEqual(data, again[2])

    def test_data_that_has_vanished_is_said(self):
        # An empty database in place of the lost one would be worse than an error.
        self.home.mkdir(mode=0o700)
        place = Path(self.acquire()[2]).parents[1]
        place.rename(self.folder / "away")
        with self.assertRaisesRegex(HomeUnusable, "with the database is gone; restore it"):
            self.make_server().acquire()

    def test_data_of_root_is_refused(self):
        # What was made in a namespace cannot be run as nobody: one sentence says so.
        with self.make_server():
            pass
        with self.assertRaisesRegex(
            AssertionError, "RootRefused: PostgreSQL does not run as root"
        ):
            self.acquire()

    def test_no_place_for_nobody_is_refused(self):
        # Neither way is open: the sentence names the two that are left.
        self.home.mkdir(mode=0o700)
        self.var_lib.rmdir()
        with self.assertRaisesRegex(AssertionError, "CODEIMPORT_DATABASE, or do not run as root"):
            self.acquire()


@unittest.skipUnless(IS_ROOT and sys.platform == "linux", "root can become an ordinary user")
class TestOrdinaryUser(HomeTestCase):
    """Who is not root runs PostgreSQL directly."""

    def test_acquire_by_ordinary_user(self):
        # In a namespace of the test's own this process is user 1, with no right of root's.
        said = run_child(
            "from lp.services.database.launch import enter_namespace\n"
            "enter_namespace(1, 1)\n"
            "with EmbeddedServer(Path(sys.argv[1]), durable=False): print(os.geteuid())",
            self.home,
        )
        self.assertEqual("1", said.strip())
        self.assertEqual((1, 1), self.count_starts())
