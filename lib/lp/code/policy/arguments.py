"""What callers may pass."""

__all__ = [
    "MAX_HOSTNAME_LENGTH",
    "MAX_WORKER_LIMIT",
    "check_hostname",
    "check_job_id",
    "check_offline_reason",
    "check_text",
    "check_worker_limit",
]

import re
from typing import Any

from lp.code.enums import CodeImportMachineOfflineReason
from lp.code.errors import (
    InvalidArgument,
    InvalidHostname,
    InvalidWorkerLimit,
    NoSuchCodeImportJob,
)

MAX_HOSTNAME_LENGTH = 253
MAX_WORKER_LIMIT = 10_000
MAX_ID = 2**63 - 1

HOSTNAME = re.compile(r"[^\s\x00-\x1f\x7f-\x9f/]+")


def check_hostname(hostname: object) -> str:
    """Return a hostname as text.

    :param hostname: Text, or bytes of UTF-8.
    :raise InvalidHostname: if it is something else, empty, too long, or holds spaces,
        slashes or control characters.
    """
    if isinstance(hostname, bytes):
        hostname = hostname.decode("utf-8", "replace")
    if not isinstance(hostname, str):
        raise InvalidHostname(f"The hostname must be text, not {_kind(hostname)}.")
    if not 0 < len(hostname) <= MAX_HOSTNAME_LENGTH:
        raise InvalidHostname(
            f"The hostname has {len(hostname)} characters; it must have 1 to"
            f" {MAX_HOSTNAME_LENGTH}."
        )
    if not HOSTNAME.fullmatch(hostname) or not hostname.isprintable():
        raise InvalidHostname("The hostname holds a space, a slash or a control character.")
    return hostname


def check_worker_limit(worker_limit: object) -> int:
    """Return a worker limit.

    :param worker_limit: A whole number from 0 to 10,000.
    :raise InvalidWorkerLimit: if it is something else; true is no number here.
    """
    if not isinstance(worker_limit, int) or isinstance(worker_limit, bool):
        raise InvalidWorkerLimit(
            f"The worker limit must be a whole number, not {_kind(worker_limit)}."
        )
    if not 0 <= worker_limit <= MAX_WORKER_LIMIT:
        raise InvalidWorkerLimit(
            f"The worker limit is {worker_limit}; it must be from 0 to {MAX_WORKER_LIMIT}."
        )
    return worker_limit


def check_job_id(job_id: object) -> int:
    """Return a job's id.

    :param job_id: A whole number.
    :raise InvalidArgument: if it is something else.
    :raise NoSuchCodeImportJob: if no job can have it.
    """
    if not isinstance(job_id, int) or isinstance(job_id, bool):
        raise InvalidArgument(f"The job id must be a whole number, not {_kind(job_id)}.")
    if not 0 < job_id <= MAX_ID:
        raise NoSuchCodeImportJob(job_id)
    return job_id


def check_offline_reason(reason: Any) -> Any:
    """Return the reason for a machine to go offline.

    :param reason: A `CodeImportMachineOfflineReason`.
    :raise InvalidArgument: if it is something else.
    """
    if getattr(reason, "enum", None) is not CodeImportMachineOfflineReason:
        raise InvalidArgument(f"{reason!r} is no reason for a machine to be offline.")
    return reason


def check_text(value: object, what: str) -> str:
    """Return text.

    :param value: Text, or bytes of UTF-8.
    :param what: What the value is, for the message.
    :raise InvalidArgument: if it is something else.
    """
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if not isinstance(value, str):
        raise InvalidArgument(f"The {what} must be text, not {_kind(value)}.")
    return value


def _kind(value: object) -> str:
    """Return what a value is, in the words of XML-RPC."""
    names = {bool: "a boolean", type(None): "nil", float: "a double", int: "a number"}
    names |= {list: "an array", dict: "a struct", str: "text", bytes: "base64"}
    return names.get(type(value), type(value).__name__)
