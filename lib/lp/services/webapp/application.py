"""The web application: Pyramid by traversal, on the one component registry."""

__all__ = ["make_application"]

import time
from collections.abc import Callable, Iterable
from typing import Any

import transaction
from pyramid.config import Configurator
from pyramid.exceptions import URLDecodeError
from pyramid.interfaces import IRequest
from pyramid.response import Response
from pyramid_retry import is_error_retryable, mark_error_retryable
from storm.exceptions import DisconnectionError
from zope.component import getGlobalSiteManager

from lp.services.database.stores import main_store
from lp.services.database.transactions import RETRYABLE
from lp.services.errors import ServiceError
from lp.services.webapp.interfaces import IXMLRPCApplication
from lp.services.webapp.publication import answer_call, answer_error, plain
from lp.services.webapp.system import APPLICATION

WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

ATTEMPTS = 3

# For how many seconds an attempt waits for a lost database before it is made again, and
# how many pass between two looks.
WAIT_LIMIT = 3.0
WAIT_PAUSE = 0.1


def make_application(root_factory: Callable[[IRequest], Any]) -> WSGIApplication:
    """Return a WSGI application that publishes what is below one object.

    Each request is a transaction of the thread's own manager.  It is tried up to three
    times when it fails in a way that a new attempt may cure: serialisation failures,
    deadlocks, lost connections.  There may be several applications in one process.

    :param root_factory: Called with the request; returns the root object, whose
        ``__getitem__`` is given the first part of the path.
    """
    # The thread's own manager is pyramid_tm's default, and the one that Storm's stores
    # join.  With any other, every write would be lost.
    config = Configurator(registry=getGlobalSiteManager())
    config.setup_registry(
        root_factory=root_factory,
        settings={"retry.attempts": ATTEMPTS, "tm.annotate_user": False},
    )
    config.include("pyramid_tm")
    config.include("pyramid_retry")
    config.add_tween(f"{__name__}.patient_tween_factory", over="pyramid_tm.tm_tween_factory")
    config.add_view(answer_call, context=IXMLRPCApplication)
    # Nothing is answered, and nothing logged, for an attempt that will be repeated.
    config.add_exception_view(answer_error, context=Exception, retryable_error=False)
    config.add_exception_view(answer_bad_path, context=URLDecodeError)
    config.add_notfound_view(answer_not_found)
    _mark_retryable()
    router = config.make_wsgi_app()

    def application(
        environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        environ[APPLICATION] = application
        answer: Iterable[bytes] = router(environ, start_response)
        return answer

    return application


def _mark_retryable() -> None:
    """Tell pyramid_retry which exceptions a new attempt may cure: by itself it knows none."""
    for error in RETRYABLE:
        mark_error_retryable(error)


def answer_not_found(_request: IRequest) -> Response:
    """Answer a request for a path that leads nowhere."""
    return plain(404, "There is nothing here.")


def answer_bad_path(_error: Exception, _request: IRequest) -> Response:
    """Answer a request for a path that is no UTF-8."""
    return plain(400, "The path is not UTF-8.")


def patient_tween_factory(
    handler: Callable[[IRequest], Response], _registry: object
) -> Callable[[IRequest], Response]:
    """Make the tween that lets a lost database come back before the next attempt.

    Attempts in quick succession would all meet the server that is down.
    """

    def patient_tween(request: IRequest) -> Response:
        try:
            return handler(request)
        except DisconnectionError as error:
            if is_error_retryable(request, error):
                _wait_for_database()
            raise

    return patient_tween


def _wait_for_database() -> None:
    """Return as soon as this thread has a connection again, or after some seconds."""
    deadline = time.monotonic() + WAIT_LIMIT
    while time.monotonic() < deadline:
        try:
            with transaction.manager:
                main_store().execute("SELECT 1")
        except ServiceError:
            return
        except DisconnectionError:
            time.sleep(WAIT_PAUSE)
        else:
            return
