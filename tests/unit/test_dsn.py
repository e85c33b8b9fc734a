"""Connection strings: completed, refused, and kept secret."""

import unittest

from psycopg2 import OperationalError
from psycopg2.extensions import parse_dsn
from storm.uri import URI

from lp.services.database.dsn import DEFAULTS, complete_dsn, explain
from lp.services.database.errors import MalformedDSN
from lp.services.database.stores import LibpqDatabase, uri_of


class TestCompleteDSN(unittest.TestCase):
    """What is added to a DSN."""

    def test_defaults_are_added(self):
        # A connection has a name, and notices when its other end vanishes.
        pairs = parse_dsn(complete_dsn("dbname=fruit"))
        self.assertEqual({**DEFAULTS, "dbname": "fruit"}, pairs)

    def test_what_is_said_wins(self):
        # Nobody's own choice is overridden.
        pairs = parse_dsn(complete_dsn("postgresql://h/d?connect_timeout=3&application_name=me"))
        self.assertEqual(("3", "me"), (pairs["connect_timeout"], pairs["application_name"]))

    def test_completed_dsn_stays_as_it_is(self):
        # Doing it twice does no harm.
        once = complete_dsn("host='/a b' password='it''s'".replace("''", "\\'"))
        self.assertEqual(once, complete_dsn(once))

    def test_malformed_dsn_is_not_quoted(self):
        # It may be a password that somebody put into the wrong place.
        for dsn in ("hunter2", "host='hunter2", "postgresql://h/d?hunter2=1", "host=a\0hunter2"):
            with self.subTest(dsn=dsn), self.assertRaises(MalformedDSN) as caught:
                complete_dsn(dsn)
            self.assertNotIn("hunter2", str(caught.exception))
            self.assertIsNone(caught.exception.__cause__)


class TestURI(unittest.TestCase):
    """The way of a DSN through Storm's URIs."""

    def test_dsn_survives_storm(self):
        # Storm unquotes byte by byte, and would build a DSN without quoting.
        for folder in ("/a b", "/it's", '/"q"', "/b\\s", "/50%", "/a?b=c&d#e", "/Köln/ж", "/@:"):
            dsn = complete_dsn(
                "host=" + "'" + folder.replace("\\", "\\\\").replace("'", "\\'") + "'"
            )
            with self.subTest(folder=folder):
                database = LibpqDatabase(URI(uri_of(dsn)))
                self.assertEqual(dsn, database.dsn)
                self.assertEqual(folder, parse_dsn(database.dsn)["host"])


class TestExplain(unittest.TestCase):
    """libpq's messages as parts of a sentence."""

    def test_message_becomes_one_line(self):
        # Each address that was tried is named, questions are left out, and one full stop ends it.
        error = OperationalError("to a failed: refused\n\tIs it running?\nto b failed: timeout\n")
        self.assertEqual("to a failed: refused; to b failed: timeout.", explain(error, "dbname=d"))

    def test_message_without_words_names_error(self):
        # There is always something to read.
        self.assertEqual("OperationalError.", explain(OperationalError(), "dbname=d"))

    def test_password_is_taken_out(self):
        # Whatever a server may put into its message.
        error = OperationalError("FATAL: no such thing as hunter2")
        said = explain(error, "postgresql://u:hunter2@h/d")
        self.assertEqual("FATAL: no such thing as ***.", said)
