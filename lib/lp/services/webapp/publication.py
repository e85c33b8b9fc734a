"""Publishing by XML-RPC: from a request to the method of a view, and to the answer."""

__all__ = ["answer_call", "answer_error"]

import logging
import secrets
from typing import Any
from xmlrpc.client import Fault

from pyramid.interfaces import IRequest
from pyramid.response import Response
from pyramid_retry import IRetryableError
from zope.component import getMultiAdapter

from lp.services.webapp.dispatch import check_arguments, find_method
from lp.services.webapp.interfaces import IXMLRPCApplication, IXMLRPCView
from lp.services.webapp.system import CALL, PREFIX, SystemMethods
from lp.services.webapp.xmlrpc import (
    CONTENT_TYPE,
    INTERNAL_ERROR,
    UNAVAILABLE,
    marshal_fault,
    marshal_result,
    parse_call,
    shorten,
)

logger = logging.getLogger(__name__)


def plain(status: int, text: str, **headers: str) -> Response:
    """Return an answer in plain text, for whoever does not speak XML-RPC.

    :param status: The HTTP status.
    :param text: One sentence.
    :param headers: Further headers.
    """
    response = Response(f"{text}\n", status=status, content_type="text/plain", charset="utf-8")
    response.headers.update(headers)
    return response


def answer_call(context: IXMLRPCApplication, request: IRequest) -> Response:
    """Answer a request to a place that is published by XML-RPC.

    :param context: The place.
    :param request: The request, of any method and type.
    :return: The answer; a fault's has the status 200, too.
    :raise Exception: whatever the called method raises that is no fault; see
        `answer_error`.
    """
    if request.method != "POST":
        return plain(405, "Only POST is answered here.", Allow="POST")
    if (request.content_type or "").lower() != "text/xml":
        return plain(415, "Only text/xml is understood here.")
    request.called = None
    try:
        # When the request is tried again, its body was read already: asking for the
        # body winds it back.
        request.called, arguments = request.environ.get(CALL) or parse_call(request.body)
        result = _call(context, request, request.called, arguments)
    except Fault as fault:
        return _refuse(request, fault)
    if isinstance(result, Fault):
        return _refuse(request, result)
    return Response(marshal_result(result), content_type=CONTENT_TYPE)


def _call(
    context: IXMLRPCApplication, request: IRequest, name: str, arguments: tuple[Any, ...]
) -> Any:
    """Call a method of the view of a place, and return what it returns."""
    view: Any = getMultiAdapter((context, request), IXMLRPCView)
    prefix = PREFIX if name.startswith(PREFIX) else ""
    if prefix:
        view = SystemMethods(view, request)
    short = name.removeprefix(prefix)
    check_arguments(name, find_method(view, short, prefix), len(arguments))
    return getattr(view, short)(*arguments)


def _refuse(request: IRequest, fault: Fault) -> Response:
    """Answer an expected refusal, and see to it that nothing of the call stays."""
    request.tm.doom()
    logger.info(
        "call refused",
        extra={
            "code": fault.faultCode,
            "method": shorten(request.called or ""),
            "fault": fault.faultString,
            "remote": request.remote_addr,
        },
    )
    return Response(marshal_fault(fault), content_type=CONTENT_TYPE)


def answer_error(error: Exception, request: IRequest) -> Response:
    """Answer a request that met an error which nobody foresaw, or met it too often.

    The answer has nothing of the error but an id, under which the log has it all.

    :param error: What was raised; its transaction is aborted.
    :param request: The request.
    """
    error_id = secrets.token_hex(8)
    logger.error(
        "call failed",
        exc_info=error,
        extra={
            "error_id": error_id,
            "method": shorten(getattr(request, "called", None) or ""),
            "path": shorten(request.path),
            "remote": request.remote_addr,
        },
    )
    if not IXMLRPCApplication.providedBy(getattr(request, "context", None)):
        return plain(500, f"Internal error {error_id}.")
    if IRetryableError.providedBy(error):
        fault = Fault(
            UNAVAILABLE,
            f"The database is unreachable or too busy; call again later (error {error_id}).",
        )
    else:
        fault = Fault(INTERNAL_ERROR, f"Internal error {error_id}.")
    return Response(marshal_fault(fault), content_type=CONTENT_TYPE)
