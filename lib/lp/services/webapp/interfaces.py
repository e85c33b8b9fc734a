"""What is published on the web, and by what."""

__all__ = ["ISystemMethods", "IXMLRPCApplication", "IXMLRPCView"]

from collections.abc import Mapping, Sequence
from typing import Any

from zope.interface import Interface


class IXMLRPCApplication(Interface):
    """A place that answers XML-RPC calls.

    Derive an interface from this one, and let the object provide it to which the
    published root object leads by ``__getitem__``.
    """


class IXMLRPCView(Interface):
    """What answers the calls to an `IXMLRPCApplication`.

    The view of a call is the multi-adapter of the place and of its request
    (`pyramid.interfaces.IRequest`) that is registered as providing this interface.  It
    can be called with those methods, and no others, that the interfaces define which the
    view provides and which extend this one.  The number of arguments is checked against
    the interface, and their types are left to the method.

    Each call is a transaction of its own, which is committed when the method returns.
    A method refuses by returning or raising an `xmlrpc.client.Fault`: the transaction
    is aborted, the fault is answered, and the refusal is logged.  Every other exception
    aborts the transaction as well; those that a new attempt may cure are retried, and
    the others are answered with an opaque fault, under whose id the log tells the rest.
    """


class ISystemMethods(IXMLRPCView):
    """The methods that every place answers, with ``system.`` before their names."""

    def listMethods() -> list[str]:
        """Return the names of all methods of this place, sorted.

        :return: Names that can be called, those of ``system`` included.
        """

    def methodHelp(method_name: str) -> str:
        """Return what a method does, and what it expects.

        :param method_name: One of the names that ``system.listMethods`` returns.
        :return: The method's documentation; may be empty.
        :raise Fault -32601: if there is no such method.
        """

    def methodSignature(method_name: str) -> list[list[str]] | str:
        """Return the types of a method's result and arguments.

        :param method_name: One of the names that ``system.listMethods`` returns.
        :return: An array of signatures, one for each number of arguments that the
            method takes.  A signature is an array of type names: the result's, then the
            arguments'.  The string ``undef`` when the types are not known.
        :raise Fault -32601: if there is no such method.
        """

    def multicall(calls: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Make several calls in one request, one after the other.

        Each call is a transaction of its own: what one does stays done when a later one
        fails.

        :param calls: At most 1,000 structs with the members ``methodName``, a string,
            and ``params``, an array.
        :return: One item for each call, in the same order: an array of one item, the
            result, or a struct of ``faultCode`` and ``faultString``.
        :raise Fault -32602: if there are too many calls, or ``calls`` is no array.
        """
