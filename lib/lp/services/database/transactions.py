"""Transactions for edges that are not web requests: scripts, threads, tools."""

__all__ = ["RETRYABLE", "after_commit", "run"]

import logging
import random
import time
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import transaction
from psycopg2.errors import DeadlockDetected, SerializationFailure
from storm.exceptions import DisconnectionError

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

# After one of these the same call may well succeed.  `LibpqDatabase` turns every lost or
# refused connection into a DisconnectionError, whatever psycopg2 and Storm call it.
RETRYABLE: tuple[type[Exception], ...] = (
    SerializationFailure,
    DeadlockDetected,
    DisconnectionError,
)

# Seconds before the second attempt, doubled for each further one.  A server that is
# started again needs some tenths of a second; two that collided need much less.
RECONNECT_PAUSE = 0.5
COLLISION_PAUSE = 0.02


def run(function: Callable[..., R], *args: Any, attempts: int = 3) -> R:
    """Call a function in a transaction of its own, and commit it.

    Whatever the thread's transaction held before is aborted.  A call is repeated when
    it met another transaction or lost the connection.  A commit that loses its
    connection may have been done, so what is called must bear being called twice.

    :param function: What to call; it must not commit.
    :param args: What to call it with.
    :param attempts: How many times it is called at most, 1 or more.
    :return: What the function returned.
    :raise Exception: whatever the function raised, the transaction being aborted; one of
        `RETRYABLE` only after the last attempt.
    """
    attempt = 1
    while True:
        transaction.begin()
        try:
            result = function(*args)
            transaction.commit()
            return result
        except RETRYABLE as error:
            transaction.abort()
            if attempt >= attempts:
                raise
            pause = pause_before_retry(error, attempt)
            logger.info(
                "transaction is tried again",
                extra={"attempt": attempt, "error": type(error).__name__, "pause_s": pause},
            )
        except BaseException:
            transaction.abort()
            raise
        time.sleep(pause)
        attempt += 1


def pause_before_retry(error: Exception, attempt: int) -> float:
    """Return the seconds to wait after a failed attempt, never the same twice."""
    base = RECONNECT_PAUSE if isinstance(error, DisconnectionError) else COLLISION_PAUSE
    return base * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)


def after_commit(function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Call a function once the thread's transaction has been committed.

    It is not called when the transaction is aborted.  What it raises is logged, as the
    commit can no longer be undone.  It must not use a store: the transaction is over.

    :param function: What to call.
    :param args: What to call it with.
    :param kwargs: What to call it with by name.
    """

    def hook(committed: bool) -> None:
        if not committed:
            return
        try:
            function(*args, **kwargs)
        except Exception:
            logger.exception("what follows a commit failed")

    transaction.get().addAfterCommitHook(hook)
