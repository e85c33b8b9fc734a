"""What views of the private instance have in common."""

__all__ = ["return_fault"]

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from lp.code.errors import CodeImportError
from lp.xmlrpc.faults import Fault, fault_for

P = ParamSpec("P")
R = TypeVar("R")


def return_fault(method: Callable[P, R]) -> Callable[P, R | Fault]:
    """Make a view's method return a refusal as a fault, rather than raise it.

    The publisher answers a returned fault, and undoes what the call had changed.  All other
    errors pass.

    :param method: The method.
    """

    @wraps(method)
    def wrapper(*args: Any, **kwargs: Any) -> R | Fault:
        try:
            return method(*args, **kwargs)
        except CodeImportError as error:
            return fault_for(error)

    return wrapper
