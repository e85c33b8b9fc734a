"""Stores, columns and transactions over a real server."""

import contextlib
import socket
import threading
import unittest
from datetime import UTC, datetime, timedelta, timezone

import psycopg2.errors
import transaction
from lazr.enum import DBEnumeratedType, DBItem
from psycopg2.extensions import make_dsn
from storm.exceptions import DisconnectionError, StormError
from storm.properties import Int, Unicode
from storm.store import Store
from storm.zope.interfaces import IZStorm
from zope.component import getUtility
from zope.configuration.xmlconfig import XMLConfig
from zope.interface.verify import verifyObject

import lp.services.database
from lp.services.database.columns import DBEnum, UTCDateTime
from lp.services.database.constants import DEFAULT, UTC_NOW
from lp.services.database.errors import DatabaseNotOpen, ServerTooOld, UnknownEnumValue
from lp.services.database.interfaces import IStore
from lp.services.database.stores import close_stores, get_store, main_store, set_database
from lp.services.database.transactions import RETRYABLE, after_commit, run
from tests.integration.postgres import Forwarder, ServerTestCase, query


class Ripeness(DBEnumeratedType):
    """How ripe a fruit is."""

    GREEN = DBItem(10, "Green")
    RIPE = DBItem(20, "Ripe")


class Colour(DBEnumeratedType):
    """Another enumeration with one of the same numbers."""

    RED = DBItem(10, "Red")


class Fruit:
    """A model class."""

    __storm_table__ = "fruit"

    id = Int(primary=True)
    name = Unicode()
    ripeness = DBEnum(enum=Ripeness, allow_none=False, default=Ripeness.GREEN)
    before = DBEnum(enum=Ripeness)
    picked = UTCDateTime()

    def __init__(self, name):
        self.name = name


class StoreTestCase(ServerTestCase):
    """Tests with the process's database set, and one table."""

    def setUp(self):
        super().setUp()
        XMLConfig("configure.zcml", lp.services.database)()
        set_database(self.dsn)
        self.addCleanup(set_database, None)
        self.addCleanup(close_stores)
        query(
            self.dsn,
            "CREATE TABLE fruit (id serial PRIMARY KEY, name text UNIQUE DEFAULT 'fig',"
            " ripeness integer NOT NULL, before integer, picked timestamptz)",
        )

    def names(self):
        """Return the names that are committed, in order."""
        return query(self.dsn, "SELECT array_agg(name ORDER BY id) FROM fruit") or []


class TestStores(StoreTestCase):
    """Which store one gets, and how it is connected."""

    def test_store_provides_its_interface(self):
        # What Storm gives is what model code may expect.
        self.assertTrue(verifyObject(IStore, main_store()))

    def test_class_and_instance_adapt_to_same_store(self):
        # `IStore` takes both, and a store is its own.
        fruit = IStore(Fruit).add(Fruit("fig"))
        self.assertIs(main_store(), IStore(fruit))
        self.assertIs(main_store(), IStore(Fruit("loose")))
        self.assertIs(main_store(), IStore(main_store()))

    def test_instance_of_other_store_adapts_to_that(self):
        # An object stays with the store that it came from.
        other = Store(main_store().get_database())
        self.addCleanup(other.close)
        self.assertIs(other, get_store(other.add(Fruit("fig"))))

    def test_zstorm_knows_the_store(self):
        # Other programs find the same store by Storm's own utility.
        self.assertIs(main_store(), getUtility(IZStorm).get("main"))

    def test_connection_is_read_committed_in_utc(self):
        # So it is whatever the database's defaults are.
        query(self.dsn, "ALTER DATABASE test SET TimeZone = 'America/New_York'")
        query(self.dsn, "ALTER DATABASE test SET default_transaction_isolation = serializable")
        row = main_store().execute(
            "SELECT current_setting('transaction_isolation'), current_setting('TimeZone'),"
            " current_setting('application_name'), current_setting('client_encoding')"
        )
        self.assertEqual(("read committed", "UTC", "codeimport", "UTF8"), row.get_one())

    def test_zone_survives_rollback_and_reconnection(self):
        # It belongs to the connection, not to its first transaction.
        query(self.dsn, "ALTER DATABASE test SET TimeZone = 'America/New_York'")
        for _ in range(2):
            self.assertEqual("UTC", main_store().execute("SHOW TimeZone").get_one()[0])
            transaction.abort()
        self.disconnect()
        with contextlib.suppress(DisconnectionError):
            main_store().execute("SELECT 1")
        transaction.abort()
        self.assertEqual("UTC", main_store().execute("SHOW TimeZone").get_one()[0])

    def test_transaction_sees_what_others_commit(self):
        # A claim after an earlier look needs this; Storm alone would not do it.
        store = main_store()
        self.assertEqual(0, store.find(Fruit).count())
        query(self.dsn, "INSERT INTO fruit (name, ripeness) VALUES ('kiwi', 10)")
        self.assertEqual(1, store.find(Fruit).count())

    def test_raw_statement_joins_transaction(self):
        # What is not committed is gone with an abort, raw or not.
        main_store().execute("INSERT INTO fruit (name, ripeness) VALUES ('kiwi', 10)")
        transaction.abort()
        self.assertEqual([], self.names())

    def test_default_leaves_value_to_database(self):
        # `DEFAULT` is the column's own default.
        fruit = main_store().add(Fruit("x"))
        fruit.name = DEFAULT
        main_store().flush()
        self.assertEqual("fig", fruit.name)

    def test_threads_have_stores_of_their_own(self):
        # A store is never shared, and a thread's end closes its connection.
        stores = []
        thread = threading.Thread(target=lambda: (stores.append(main_store()), close_stores()))
        thread.start()
        thread.join()
        self.assertIsNot(stores[0], main_store())

    def test_other_database_is_used_once_set(self):
        # The thread's store for the old one is given up.
        self.make_database("other")
        self.addCleanup(self.drop_database, "other")
        self.addCleanup(close_stores)
        old = main_store()
        set_database(make_dsn(self.dsn, dbname="other"))
        name = main_store().execute("SELECT current_database()").get_one()[0]
        self.assertEqual("other", name)
        self.assertIsNot(old, main_store())

    def test_no_store_without_database(self):
        # Nothing guesses which database might be meant.
        set_database(None)
        with self.assertRaises(DatabaseNotOpen):
            main_store()

    def test_close_stores_aborts_and_disconnects(self):
        # Afterwards nobody is connected, and the next store is a new one.
        main_store().execute("INSERT INTO fruit (name, ripeness) VALUES ('kiwi', 10)")
        close_stores()
        self.assertEqual(0, self.count_connections())
        self.assertEqual(0, main_store().find(Fruit).count())

    def test_error_has_code_of_postgresql(self):
        # Storm's combined classes give a method in its place.
        main_store().execute("INSERT INTO fruit (name, ripeness) VALUES ('kiwi', 10)")
        with self.assertRaises(StormError) as caught:
            main_store().execute("INSERT INTO fruit (name, ripeness) VALUES ('kiwi', 10)")
        self.assertIsInstance(caught.exception, psycopg2.errors.UniqueViolation)
        self.assertEqual("23505", caught.exception.pgcode)
        self.assertIn("kiwi", caught.exception.diag.message_detail)

    def disconnect(self):
        """Break all connections to the test's database."""
        query(
            self.server.dsn,
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
            " WHERE datname = 'test'",
        )

    def count_connections(self):
        """Return how many are connected to the test's database."""
        return query(
            self.server.dsn, "SELECT count(*) FROM pg_stat_activity WHERE datname = 'test'"
        )


class TestColumns(StoreTestCase):
    """Enumerations and instants in the database and out of it."""

    def reload(self, fruit):
        """Commit, and return a fruit as the database has it."""
        transaction.commit()
        main_store().invalidate()
        return main_store().get(Fruit, fruit.id)

    def test_enum_is_written_as_number_and_read_as_item(self):
        # The default is one, too, and None stays None.
        fruit = main_store().add(Fruit("fig"))
        fruit = self.reload(fruit)
        self.assertIs(Ripeness.GREEN, fruit.ripeness)
        self.assertIsNone(fruit.before)
        fruit.ripeness = fruit.before = Ripeness.RIPE
        self.assertIs(Ripeness.RIPE, self.reload(fruit).before)
        self.assertEqual(20, query(self.dsn, "SELECT ripeness FROM fruit"))

    def test_enum_in_find_and_is_in(self):
        # Conditions take items, one or several.
        store = main_store()
        ripe = store.add(Fruit("fig"))
        ripe.ripeness = Ripeness.RIPE
        store.add(Fruit("kiwi"))
        self.assertEqual([ripe], list(store.find(Fruit, ripeness=Ripeness.RIPE)))
        self.assertEqual([ripe], list(store.find(Fruit, Fruit.ripeness != Ripeness.GREEN)))
        both = store.find(Fruit, Fruit.ripeness.is_in([Ripeness.RIPE, Ripeness.GREEN]))
        self.assertEqual(2, both.count())
        self.assertEqual(2, store.find(Fruit, Fruit.before == None).count())  # noqa: E711

    def test_enum_refuses_what_is_no_item_of_it(self):
        # Numbers, names and other enumerations' items are mistakes.
        fruit = Fruit("fig")
        for value in (10, "GREEN", Colour.RED, True):
            with self.subTest(value=value), self.assertRaisesRegex(TypeError, "of Ripeness"):
                fruit.ripeness = value
            with self.subTest(value=value), self.assertRaises(TypeError):
                main_store().find(Fruit, ripeness=value)

    def test_enum_with_unknown_number_names_column(self):
        # A newer program may have written it; the error says where to look.
        query(self.dsn, "INSERT INTO fruit (name, ripeness) VALUES ('kiwi', 77)")
        with self.assertRaisesRegex(UnknownEnumValue, r"column fruit\.ripeness holds 77"):
            main_store().find(Fruit).one()

    def test_instant_is_aware_and_utc(self):
        # Another zone's instant is the same instant.
        fruit = main_store().add(Fruit("fig"))
        fruit.picked = datetime(2026, 5, 1, 12, tzinfo=timezone(timedelta(hours=2)))
        fruit = self.reload(fruit)
        self.assertEqual(datetime(2026, 5, 1, 10, tzinfo=UTC), fruit.picked)
        self.assertIs(UTC, fruit.picked.tzinfo)

    def test_instant_takes_sql(self):
        # The transaction's clock is the database's.
        fruit = main_store().add(Fruit("fig"))
        fruit.picked = UTC_NOW
        main_store().flush()
        now = main_store().execute("SELECT CURRENT_TIMESTAMP").get_one()[0]
        self.assertEqual(now, fruit.picked)

    def test_instant_refuses_naive_and_numbers(self):
        # Which instant would they be?
        fruit = Fruit("fig")
        with self.assertRaises(ValueError):
            fruit.picked = datetime(2026, 5, 1)  # noqa: DTZ001
        with self.assertRaises(TypeError):
            fruit.picked = 1_777_000_000


class TestRun(StoreTestCase):
    """`run` and `after_commit` over real errors."""

    def add(self, name):
        """Add a fruit, and return its name."""
        main_store().add(Fruit(name))
        return name

    def test_run_commits_and_returns(self):
        # Arguments go in, the result comes out, and it is there for all to see.
        self.assertEqual("fig", run(self.add, "fig"))
        self.assertEqual(["fig"], self.names())

    def test_run_aborts_on_other_errors(self):
        # Nothing is kept, nothing is repeated.
        calls = []

        def fail():
            calls.append(self.add("fig"))
            raise LookupError("no such fruit")

        with self.assertRaisesRegex(LookupError, "no such fruit"):
            run(fail)
        self.assertEqual((1, []), (len(calls), self.names()))

    def test_run_again_after_lost_connection(self):
        # The connection broke before the first statement, and is made anew.
        run(self.add, "fig")
        TestStores.disconnect(self)
        run(self.add, "kiwi")
        self.assertEqual(["fig", "kiwi"], self.names())

    def test_run_again_after_deadlock(self):
        # Two that lock each other's row: one of them is tried again.
        run(self.add, "fig")
        run(self.add, "kiwi")
        barrier = threading.Barrier(2)
        calls = []

        def lock(first, second):
            calls.append(first)
            statement = "UPDATE fruit SET before = 10 WHERE name = ?"
            main_store().execute(statement, (first,))
            if len(calls) <= 2:
                barrier.wait(timeout=30)
            main_store().execute(statement, (second,))

        def work(*names):
            run(lock, *names)
            close_stores()

        threads = [
            threading.Thread(target=work, args=names)
            for names in (("fig", "kiwi"), ("kiwi", "fig"))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(3, len(calls))

    def test_run_again_after_serialization_failure(self):
        # Only who asks for a stricter isolation meets one.
        run(self.add, "fig")
        calls = []

        def update():
            calls.append(1)
            store = main_store()
            store.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            store.execute("SELECT 1")
            if len(calls) == 1:
                query(self.dsn, "UPDATE fruit SET before = 10")
            store.execute("UPDATE fruit SET before = 20")

        run(update)
        self.assertEqual(2, len(calls))

    def test_run_gives_up_after_its_attempts(self):
        # The last error is the caller's.
        calls = []

        def lose():
            calls.append(1)
            main_store().execute("SELECT pg_terminate_backend(pg_backend_pid())")

        with self.assertRaises(DisconnectionError):
            run(lose, attempts=2)
        self.assertEqual(2, len(calls))

    def test_after_commit_of_retried_call_runs_once(self):
        # The attempt that failed has no consequences.
        told = []

        def tell():
            after_commit(told.append, "fig")
            if self.add("fig") and not told and main_store().find(Fruit).count() == 1:
                calls.append(1)
                if len(calls) == 1:
                    main_store().execute("SELECT pg_terminate_backend(pg_backend_pid())")

        calls = []
        run(tell)
        self.assertEqual(["fig"], told)


class TestLostServer(StoreTestCase):
    """The server goes away, refuses, and comes back."""

    def setUp(self):
        super().setUp()
        self.forwarder = Forwarder(self.server_home / "postgresql/socket/.s.PGSQL.5432")
        self.addCleanup(self.forwarder.close)
        set_database(self.forwarder.dsn("test"))

    def test_dsn_over_network(self):
        # A server is reached by name and port, too.
        self.assertEqual(0, main_store().find(Fruit).count())

    def test_whatever_is_raised_is_retryable(self):
        # Refused at first sight, cut off in between, refused again: all of one kind.
        self.forwarder.refuse()
        with self.assertRaises(RETRYABLE):
            main_store()
        self.forwarder.accept()
        main_store().execute("SELECT 1")
        self.forwarder.refuse()
        for _ in range(3):
            with self.assertRaises(RETRYABLE):
                main_store().execute("SELECT 1")
            transaction.abort()
        self.forwarder.accept()
        self.assertEqual((1,), main_store().execute("SELECT 1").get_one())

    def test_commit_without_connection_is_retryable(self):
        # Whether it was done is not known, so what is retried must bear it.
        main_store().add(Fruit("fig"))
        main_store().flush()
        self.forwarder.refuse()
        with self.assertRaises(RETRYABLE):
            transaction.commit()
        transaction.abort()
        self.forwarder.accept()
        self.assertEqual(0, main_store().find(Fruit).count())

    def test_run_outlasts_short_absence(self):
        # The server is back before the attempts are used up.
        run(main_store)
        self.forwarder.refuse()
        timer = threading.Timer(0.3, self.forwarder.accept)
        timer.start()
        self.addCleanup(timer.join)
        self.assertEqual((1,), run(lambda: main_store().execute("SELECT 1").get_one()))

    def test_server_that_takes_no_connections_is_retryable(self):
        # "Too many clients" or "starting up" is an answer, and passes.
        query(self.server.dsn, "ALTER DATABASE test ALLOW_CONNECTIONS false")
        self.addCleanup(query, self.server.dsn, "ALTER DATABASE test ALLOW_CONNECTIONS true")
        with self.assertRaises(RETRYABLE):
            main_store()


class TestOldServer(unittest.TestCase):
    """A server older than PostgreSQL 14."""

    def test_old_server_is_refused(self):
        # One that says it is version 13 gets no further.
        XMLConfig("configure.zcml", lp.services.database)()
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        greeting = threading.Thread(target=self.greet, args=(listener,))
        greeting.start()
        self.addCleanup(greeting.join)
        port = listener.getsockname()[1]
        set_database(f"host=127.0.0.1 port={port} user=u dbname=d sslmode=disable")
        self.addCleanup(set_database, None)
        with self.assertRaisesRegex(ServerTooOld, "is PostgreSQL 13, and 14 is the oldest"):
            main_store()

    def greet(self, listener):
        """Speak the server's part of the protocol up to its first "ready"."""
        connection, _ = listener.accept()
        with connection:
            connection.recv(10_000)
            message = b"R" + (8).to_bytes(4) + (0).to_bytes(4)
            for name, value in (
                ("server_version", "13.9"),
                ("client_encoding", "UTF8"),
                ("DateStyle", "ISO, MDY"),
                ("standard_conforming_strings", "on"),
                ("integer_datetimes", "on"),
            ):
                text = f"{name}\0{value}\0".encode()
                message += b"S" + (len(text) + 4).to_bytes(4) + text
            connection.sendall(message + b"Z" + (5).to_bytes(4) + b"I")
            connection.recv(10_000)
