"""The store of logs: the corners."""

import zlib

import transaction
from zope.component import getUtility

from lp.services.database.stores import main_store
from lp.services.logstore.interfaces import ILogFile, ILogStore
from lp.testing import verifyObject
from tests.integration.domain import DomainTestCase

ANYTHING = bytes(range(256)) * 100


class TestLogStore(DomainTestCase):
    """See `ILogStore`."""

    def setUp(self):
        super().setUp()
        self.logs = getUtility(ILogStore)

    def test_create(self):
        # What was stored comes back, byte for byte.
        log = self.logs.create("a.log", ANYTHING)
        self.assertTrue(verifyObject(ILogFile, log))
        self.assertEqual(("a.log", len(ANYTHING)), (log.name, log.size))
        transaction.commit()
        self.assertEqual(ANYTHING, log.read())

    def test_create_empty(self):
        # A log may be empty.
        log = self.logs.create("a.log", b"")
        self.assertEqual((0, b""), (log.size, log.read()))

    def test_create_compresses(self):
        # Logs repeat themselves, and are stored small.
        self.logs.create("a.log", b"the same line\n" * 100_000)
        size = self.fetch("SELECT length(content) FROM logfile")
        self.assertLess(size, 20_000)

    def test_create_large(self):
        # Ten megabytes that cannot be compressed come back, too.
        content = zlib.compress(b"", 0) + b"".join(
            (number * 2654435761 % 2**32).to_bytes(4, "big") for number in range(2_500_000)
        )
        log = self.logs.create("a.log", content)
        transaction.commit()
        self.assertTrue(content == log.read())

    def test_create_is_undone(self):
        # A log is part of the transaction of its result.
        self.logs.create("a.log", b"output")
        transaction.abort()
        self.assertEqual(0, self.count("logfile"))

    def test_delete(self):
        # The named ones go, unknown ones are passed over.
        keep, drop = self.logs.create("a.log", b"a"), self.logs.create("b.log", b"b")
        self.logs.delete([drop.id, 4711])
        names = [row[0] for row in main_store().execute("SELECT name FROM logfile")]
        self.assertEqual([keep.name], names)

    def test_delete_nothing(self):
        # No numbers, nothing to do.
        self.logs.create("a.log", b"a")
        self.logs.delete([])
        self.assertEqual(1, self.count("logfile"))
