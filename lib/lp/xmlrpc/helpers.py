"""What views of the private instance have in common."""

__all__ = ["return_fault"]

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from lp.code.errors import CodeImportError
from lp.xmlrpc.faults import fault_for

P = ParamSpec("P")
R = TypeVar("R")


def return_fault(method: Callable[P, R]) -> Callable[P, R]:
    """Make a view's method return a refusal as a fault, rather than raise it.

    The publisher answers a returned fault, and undoes what the call had changed.  All other
    errors pass.

    :param method: The method.
    """

    # The fault is left out of the annotation: it answers for the result, as an exception does.
    @wraps(method)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Any:
        try:
            return method(*args, **kwargs)
        except CodeImportError as error:
            return fault_for(error)

    return wrapper
