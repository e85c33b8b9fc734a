"""The web application: Pyramid by traversal, on the one component registry."""

__all__ = ["make_application"]

import time
from collections.abc import Callable, Iterable
from typing import Any

from pyramid.config import Configurator
from pyramid.exceptions import URLDecodeError
from pyramid.interfaces import IRequest
from pyramid.response import Response
from pyramid_retry import is_error_retryable, mark_error_retryable
from storm.exceptions import DisconnectionError
from zope.component import getGlobalSiteManager

from lp.services.database.transactions import RETRYABLE
from lp.services.webapp.interfaces import IXMLRPCApplication
from lp.services.webapp.publication import answer_call, answer_error, plain
from lp.services.webapp.system import APPLICATION

WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

ATTEMPTS = 3

# Seconds before the second and the third attempt of a request that lost its database.
# Usually the server was restarted some time ago, and the second attempt meets a new
# connection.  Else it is down just now, and is given the time to come up.
PAUSES = (0.1, 3.0)


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
    config.add_tween(f"{__name__}.pause_tween_factory", over="pyramid_tm.tm_tween_factory")
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


def pause_tween_factory(
    handler: Callable[[IRequest], Response], _registry: object
) -> Callable[[IRequest], Response]:
    """Make the tween that gives a lost database a moment before the next attempt."""

    def pause_tween(request: IRequest) -> Response:
        try:
            return handler(request)
        except DisconnectionError as error:
            if is_error_retryable(request, error):
                time.sleep(PAUSES[request.environ["retry.attempt"]])
            raise

    return pause_tween
