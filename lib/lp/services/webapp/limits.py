"""The limit to what a request may weigh."""

__all__ = ["BodyLimit"]

import logging
import tempfile
import time
from collections.abc import Callable, Iterable
from typing import IO, Any
from xmlrpc.client import Fault

from lp.services.webapp.xmlrpc import BODY_TOO_LARGE, CONTENT_TYPE, marshal_fault

logger = logging.getLogger(__name__)

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WSGIApplication = Callable[[Environ, StartResponse], Iterable[bytes]]

CHUNK = 65536

# Up to this many bytes, a body is kept in memory, and else in a temporary file.
IN_MEMORY = 1024 * 1024

# How much of a body that is too large is read and thrown away, in bytes and in seconds.
# Most clients send everything before they read anything: without this, they would meet
# a broken connection instead of the fault.
DRAIN_BYTES = 1024 * 1024 * 1024
DRAIN_SECONDS = 30.0


class BodyLimit:
    """A WSGI application, shielded from large bodies.

    A request whose body is too large never reaches the application.  It is answered
    with the fault `BODY_TOO_LARGE`, and with the status 413 if it is not XML-RPC's.
    Every other body is received as a whole before the application is called.  It can be
    read again by attempts that come later, and its length is declared.
    """

    def __init__(self, application: WSGIApplication, max_body: int) -> None:
        """Shield an application.

        :param application: A WSGI application, which has read what it needs of the
            request when it returns its answer.
        :param max_body: The most that a body may weigh, in bytes.
        """
        self._application = application
        self._max_body = max_body

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        declared = _declared_length(environ)
        if declared is None and not environ.get("wsgi.input_terminated"):
            return self._application(environ, start_response)
        if declared is not None and declared > self._max_body:
            return _refuse(environ, start_response, self._max_body)
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as body:
            # One byte more than the limit tells that it is exceeded.
            wanted = self._max_body + 1 if declared is None else declared
            length = _copy(environ["wsgi.input"], body, wanted)
            if length > self._max_body:
                return _refuse(environ, start_response, self._max_body)
            body.seek(0)
            environ.pop("HTTP_TRANSFER_ENCODING", None)
            environ["CONTENT_LENGTH"] = str(length)
            environ["wsgi.input"] = body
            # WebOb would make another copy, and leave it to the garbage collector.
            environ["webob.is_body_seekable"] = True
            return self._application(environ, start_response)


def _declared_length(environ: Environ) -> int | None:
    """Return how many bytes the body has according to its header, or None."""
    declared = environ.get("CONTENT_LENGTH") or ""
    return int(declared) if declared.isdecimal() else None


def _copy(source: IO[bytes], target: IO[bytes], wanted: int) -> int:
    """Copy so many bytes, or as many as there are, and return their number."""
    length = 0
    while length < wanted and (chunk := source.read(min(CHUNK, wanted - length))):
        length += len(chunk)
        target.write(chunk)
    return length


def _refuse(environ: Environ, start_response: StartResponse, max_body: int) -> Iterable[bytes]:
    """Answer a request that is too large."""
    text = f"The request is larger than {max_body} bytes, the most that is accepted."
    logger.info(
        "body refused",
        extra={
            "declared": environ.get("CONTENT_LENGTH") or "nothing",
            "max_body": max_body,
            "remote": environ.get("REMOTE_ADDR"),
        },
    )
    _drain(environ["wsgi.input"])
    if environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() == "text/xml":
        status, content_type = "200 OK", CONTENT_TYPE
        answer = marshal_fault(Fault(BODY_TOO_LARGE, text))
    else:
        status, content_type = "413 Content Too Large", "text/plain;charset=utf-8"
        answer = f"{text}\n".encode()
    headers = [("Content-Type", content_type), ("Content-Length", str(len(answer)))]
    start_response(status, headers)
    return [answer]


def _drain(body: IO[bytes]) -> None:
    """Read the rest of a body, within reason, and forget it."""
    deadline = time.monotonic() + DRAIN_SECONDS
    drained = 0
    while drained < DRAIN_BYTES and time.monotonic() < deadline:
        chunk = body.read(CHUNK)
        if not chunk:
            return
        drained += len(chunk)
