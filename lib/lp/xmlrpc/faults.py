"""Refusals as XML-RPC faults."""

__all__ = ["Fault", "fault_for"]

from xmlrpc.client import Fault

from lp.code.errors import CodeImportError, fault_code


def fault_for(error: CodeImportError) -> Fault:
    """Return the fault that tells a caller of a refusal.

    :param error: The refusal.
    """
    return Fault(fault_code(error), str(error))
