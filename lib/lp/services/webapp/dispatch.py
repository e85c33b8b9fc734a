"""Which methods of a view may be called, and with how many arguments."""

__all__ = ["check_arguments", "find_method", "method_names", "signatures"]

import inspect
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from xmlrpc.client import Fault

from zope.interface import Interface, providedBy
from zope.interface.interfaces import IMethod

from lp.services.webapp.interfaces import IXMLRPCView
from lp.services.webapp.xmlrpc import NO_SUCH_METHOD, WRONG_ARGUMENTS, shorten

# XML-RPC's names of Python's types.  The first that fits holds: bool is an int, and str
# is a sequence.
TYPE_NAMES: Sequence[tuple[type, str]] = (
    (bool, "boolean"),
    (int, "int"),
    (float, "double"),
    (str, "string"),
    (bytes, "base64"),
    (datetime, "dateTime.iso8601"),
    (NoneType, "nil"),
    (Mapping, "struct"),
    (Sequence, "array"),
)


def _interfaces(view: object) -> Iterator[type[Interface]]:
    """Iterate over the interfaces that say what a view may be called with."""
    for interface in providedBy(view):
        if interface.extends(IXMLRPCView):
            yield interface


def _is_callable(name: str, description: object) -> bool:
    """Whether a part of an interface is a method, and not a private one."""
    return not name.startswith("_") and IMethod.providedBy(description)


def method_names(view: object) -> list[str]:
    """Return the names of the methods that a view may be called with, sorted.

    :param view: An `IXMLRPCView`.
    """
    return sorted(
        {
            name
            for interface in _interfaces(view)
            for name, description in interface.namesAndDescriptions(all=True)
            if _is_callable(name, description)
        }
    )


def find_method(view: object, name: str, prefix: str = "") -> Any:
    """Return the description of a method that a view may be called with.

    :param view: An `IXMLRPCView`.
    :param name: The method's name, as the view knows it.
    :param prefix: What stands before it in the caller's eyes.
    :return: An `IMethod`.
    :raise Fault: with `NO_SUCH_METHOD`.
    """
    for interface in _interfaces(view):
        description = interface.get(name)
        if description is not None and _is_callable(name, description):
            return description
    raise Fault(NO_SUCH_METHOD, f"There is no method {shorten(prefix + name)!r}.")


def check_arguments(name: str, method: Any, given: int) -> None:
    """Check the number of the arguments of a call.

    :param name: The method's name as the caller knows it.
    :param method: The method's description, an `IMethod`.
    :param given: How many arguments the call has.
    :raise Fault: with `WRONG_ARGUMENTS`.
    """
    info = method.getSignatureInfo()
    least, most = len(info["required"]), len(info["positional"])
    if least <= given and (given <= most or info["varargs"]):
        return
    if info["varargs"]:
        expected, last = f"at least {least}", least
    elif least == most:
        expected, last = str(most), most
    else:
        expected, last = f"{least} to {most}", most
    noun = "argument" if last == 1 else "arguments"
    verb = "was" if given == 1 else "were"
    raise Fault(WRONG_ARGUMENTS, f"{name} takes {expected} {noun}; {given} {verb} given.")


def signatures(view: object, name: str, method: Any) -> list[list[str]] | None:
    """Return the types of a method's result and arguments.

    :param view: The view that has the method.
    :param name: The method's name, as the view knows it.
    :param method: The method's description, an `IMethod`.
    :return: One list for each number of arguments that the method takes: the name of the
        result's type, then those of the arguments'.  None if the implementation does
        not say all of them.
    """
    function = getattr(type(view), name)
    try:
        hints = get_type_hints(function)
    except NameError:
        return None
    arguments = list(inspect.signature(function).parameters)[1:]
    types = [_type_name(hints.get(key)) for key in ("return", *arguments)]
    info = method.getSignatureInfo()
    counts = range(len(info["required"]), len(info["positional"]) + 1)
    chosen = [types[: count + 1] for count in counts]
    if any(type_name is None for signature in chosen for type_name in signature):
        return None
    return [[str(type_name) for type_name in signature] for signature in chosen]


def _type_name(hint: Any) -> str | None:
    """Return XML-RPC's name of an annotated type, or None if it has none.

    Of a union, the first that is neither a fault nor None counts.
    """
    if get_origin(hint) in (Union, UnionType):
        members = [member for member in get_args(hint) if not _is_fault(member)]
        members.sort(key=lambda member: member is NoneType)
        return _type_name(members[0]) if members else None
    concrete = get_origin(hint) or hint
    if not isinstance(concrete, type):
        return None
    return next((name for base, name in TYPE_NAMES if issubclass(concrete, base)), None)


def _is_fault(hint: Any) -> bool:
    """Whether an annotated type is a fault, which is no result."""
    return isinstance(hint, type) and issubclass(hint, Fault)
