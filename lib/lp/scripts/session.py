"""What subcommands that use the database have in common."""

__all__ = ["acting_person", "find_import", "run_in_database"]

import os
import pwd
import re
from collections.abc import Callable
from typing import Any, TypeVar

import click
from zope.component import getUtility

from lp.code.errors import NoSuchCodeImport
from lp.code.interfaces.codeimport import ICodeImport, ICodeImportSet
from lp.registry.interfaces.person import IPerson, IPersonSet
from lp.services.config import config
from lp.services.database.opening import open_database
from lp.services.database.transactions import run
from lp.services.log import configure_logging
from lp.services.startup import initialize

R = TypeVar("R")


def run_in_database(function: Callable[..., R], *args: Any) -> R:
    """Open the database, and call a function in a transaction of its own.

    :param function: What to call; it may be called again if the transaction fails.
    :param args: What to call it with.
    :return: What it returned; it must not need the database any more.
    """
    initialize(config.path)
    configure_logging(level="WARNING")
    with open_database():
        return run(function, *args)


def acting_person() -> IPerson:
    """Return who the command acts as: ``--as NAME``, else the operating system's user."""
    named = click.get_current_context().find_root().obj
    person: IPerson = getUtility(IPersonSet).ensure(named or system_user())
    return person


def system_user() -> str:
    """Return the name of the operating system's user."""
    try:
        return re.sub(r"\s", "-", pwd.getpwuid(os.getuid()).pw_name)
    except KeyError:
        # A user without an entry, as containers have them.
        return f"uid-{os.getuid()}"


def find_import(target: str) -> ICodeImport:
    """Return the import of a target.

    :param target: The target's name.
    :raise NoSuchCodeImport: if there is none.
    """
    code_import: ICodeImport | None = getUtility(ICodeImportSet).getByTargetName(target)
    if code_import is None:
        raise NoSuchCodeImport(f"of {target}")
    return code_import
