"""Transactions of scripts, without a database."""

import unittest

import transaction
from storm.exceptions import DisconnectionError

from lp.services.database.transactions import (
    COLLISION_PAUSE,
    RECONNECT_PAUSE,
    after_commit,
    pause_before_retry,
    run,
)


class TestRun(unittest.TestCase):
    """What `run` does about errors."""

    def test_error_is_raised_and_transaction_aborted(self):
        # What the transaction joined is told that it failed.
        told = []

        def fail():
            transaction.get().addAfterAbortHook(lambda: told.append("aborted"))
            raise LookupError

        with self.assertRaises(LookupError):
            run(fail)
        self.assertEqual(["aborted"], told)

    def test_what_was_begun_before_is_aborted(self):
        # A call never commits what somebody else left open.
        told = []
        transaction.get().addAfterCommitHook(told.append)
        run(lambda: None)
        self.assertEqual([], told)

    def test_retry_logs_one_line(self):
        # The operator sees that something was repeated, and why.
        calls = []

        def lose_once():
            calls.append(1)
            if len(calls) == 1:
                raise DisconnectionError("gone")

        with self.assertLogs("lp.services.database.transactions", "INFO") as logs:
            run(lose_once)
        self.assertEqual(["DisconnectionError"], [record.error for record in logs.records])

    def test_pauses_grow(self):
        # A lost server gets more time than a collision, and each attempt more than the last.
        for attempt in (1, 2, 3):
            collision = pause_before_retry(ValueError(), attempt)
            reconnect = pause_before_retry(DisconnectionError(), attempt)
            factor = 2 ** (attempt - 1)
            self.assertAlmostEqual(COLLISION_PAUSE * factor, collision, delta=collision / 2)
            self.assertAlmostEqual(RECONNECT_PAUSE * factor, reconnect, delta=reconnect / 2)


class TestAfterCommit(unittest.TestCase):
    """What follows a commit."""

    def setUp(self):
        super().setUp()
        transaction.begin()
        self.addCleanup(transaction.abort)
        self.told = []

    def test_called_after_commit_with_arguments(self):
        # Not before, and once.
        after_commit(lambda *args, **kwargs: self.told.append((args, kwargs)), 1, two=2)
        self.assertEqual([], self.told)
        transaction.commit()
        transaction.commit()
        self.assertEqual([((1,), {"two": 2})], self.told)

    def test_not_called_after_abort(self):
        # Nothing has happened that anything could follow from.
        after_commit(self.told.append, 1)
        transaction.abort()
        transaction.commit()
        self.assertEqual([], self.told)

    def test_not_called_after_commit_that_failed(self):
        # A commit that a participant refused is none.
        after_commit(self.told.append, 1)
        transaction.get().addBeforeCommitHook(self.fail_commit)
        with self.assertRaises(LookupError):
            transaction.commit()
        self.assertEqual([], self.told)

    def test_error_is_logged_and_others_are_called(self):
        # The commit stands, and so does what else was to follow.
        after_commit(self.fail_commit)
        after_commit(self.told.append, 1)
        with self.assertLogs("lp.services.database.transactions", "ERROR"):
            transaction.commit()
        self.assertEqual([1], self.told)

    def fail_commit(self):
        """Fail."""
        raise LookupError
