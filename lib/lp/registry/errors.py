"""What the registry of people refuses."""

__all__ = ["InvalidPersonName"]

import os


class InvalidPersonName(Exception):
    """A person's name has 1 to 100 characters, without spaces and control characters."""

    exit_code = os.EX_USAGE

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name[:100]!r} cannot be a person's name: it must have 1 to 100 characters,"
            " without spaces and control characters."
        )
        self.name = name
