"""The root of the errors that services meet outside the program."""

__all__ = ["ServiceError"]

import os


class ServiceError(Exception):
    """A service cannot do its work; the message is one sentence that says what to do.

    :ivar exit_code: What a command that stops because of the error exits with, one of
        the numbers of ``sysexits.h``.
    """

    exit_code: int = os.EX_UNAVAILABLE
