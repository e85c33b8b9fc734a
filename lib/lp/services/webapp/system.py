"""The ``system.*`` methods: what a place can be called with, and several calls at once."""

__all__ = ["APPLICATION", "CALL", "PREFIX", "SystemMethods"]

import inspect
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any
from xmlrpc.client import Fault

from pyramid.interfaces import IRequest
from webob import Request
from zope.interface import implementer

from lp.services.webapp.dispatch import find_method, method_names, signatures
from lp.services.webapp.interfaces import ISystemMethods, IXMLRPCView
from lp.services.webapp.xmlrpc import WRONG_ARGUMENTS, unmarshal_answer

PREFIX = "system."
MAX_CALLS = 1000

# Keys of the WSGI environment: the application that serves the request, and a call that
# was parsed already.  No header can set a key with a dot in it.
APPLICATION = "lp.webapp.application"
CALL = "lp.webapp.call"


@implementer(ISystemMethods)
class SystemMethods:
    """The system methods of one view. See `ISystemMethods`."""

    def __init__(self, view: IXMLRPCView, request: IRequest) -> None:
        self._view = view
        self._request = request

    def listMethods(self) -> list[str]:
        """See `ISystemMethods`."""
        own = [PREFIX + name for name in method_names(self)]
        return sorted(method_names(self._view) + own)

    def methodHelp(self, method_name: str) -> str:
        """See `ISystemMethods`."""
        _, _, method = self._find(method_name)
        return inspect.cleandoc(method.getDoc())

    def methodSignature(self, method_name: str) -> list[list[str]] | str:
        """See `ISystemMethods`."""
        return signatures(*self._find(method_name)) or "undef"

    def multicall(self, calls: Sequence[Mapping[str, Any]]) -> list[Any]:
        """See `ISystemMethods`."""
        if not isinstance(calls, list):
            raise Fault(WRONG_ARGUMENTS, "system.multicall takes an array of calls.")
        if len(calls) > MAX_CALLS:
            raise Fault(
                WRONG_ARGUMENTS,
                f"system.multicall takes at most {MAX_CALLS} calls; {len(calls)} were given.",
            )
        return [self._answer(call) for call in calls]

    def _find(self, name: object) -> tuple[object, str, Any]:
        """Return the view, the name there, and the description of one of all methods."""
        if not isinstance(name, str):
            raise Fault(WRONG_ARGUMENTS, "The name of a method must be a string.")
        if name.startswith(PREFIX):
            short = name.removeprefix(PREFIX)
            return self, short, find_method(self, short, PREFIX)
        return self._view, name, find_method(self._view, name)

    def _answer(self, call: object) -> list[Any] | dict[str, Any]:
        """Make one of several calls, and return its result or its fault."""
        try:
            return [self._make(*_check_call(call))]
        except Fault as fault:
            return {"faultCode": fault.faultCode, "faultString": fault.faultString}

    def _make(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """Make one call as a request of its own.

        It passes through the whole application, so that its transaction, its retries
        and its log lines are those of any call.  The transaction of the outer request
        is empty, and nothing is lost when the inner one takes its place.
        """
        outer = self._request.environ
        environ = {
            key: value
            for key, value in outer.items()
            if "." not in key or key.startswith("wsgi.") or key == APPLICATION
        }
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        environ["CONTENT_LENGTH"] = "0"
        environ["wsgi.input"] = BytesIO()
        environ[CALL] = (name, arguments)
        response = Request(environ).get_response(outer[APPLICATION])
        return unmarshal_answer(response.body)


def _check_call(call: object) -> tuple[str, tuple[Any, ...]]:
    """Return the name and the arguments of one of several calls.

    :raise Fault: with `WRONG_ARGUMENTS` if it is no call, or one that is not allowed.
    """
    name = call.get("methodName") if isinstance(call, dict) else None
    arguments = call.get("params") if isinstance(call, dict) else None
    if not (isinstance(name, str) and isinstance(arguments, list)):
        raise Fault(
            WRONG_ARGUMENTS,
            "Each call must be a struct of methodName, a string, and params, an array.",
        )
    if name == PREFIX + "multicall":
        raise Fault(WRONG_ARGUMENTS, "system.multicall cannot be one of its own calls.")
    return name, tuple(arguments)
