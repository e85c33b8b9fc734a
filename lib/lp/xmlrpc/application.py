"""The root of the private XML-RPC instance, and the instance as a WSGI application."""

__all__ = ["PrivateApplication", "make_private_application"]

from collections.abc import Callable
from typing import Any

from zope.component import getUtility
from zope.interface import Interface, implementer

from lp.code.interfaces.codeimportscheduler import ICodeImportSchedulerApplication
from lp.services.config import config
from lp.services.webapp.application import make_application
from lp.services.webapp.limits import BodyLimit
from lp.xmlrpc.interfaces import IPrivateApplication


@implementer(ICodeImportSchedulerApplication)
class CodeImportSchedulerApplication:
    """See `ICodeImportSchedulerApplication`."""


@implementer(IPrivateApplication)
class PrivateApplication:
    """See `IPrivateApplication`."""

    def __init__(self) -> None:
        self.codeimportscheduler = CodeImportSchedulerApplication()

    def __getitem__(self, name: str) -> Interface:
        """Return the object that a segment of a URL names, for traversal.

        :raise KeyError: if there is none.
        """
        if name not in IPrivateApplication:
            raise KeyError(name)
        published: Interface = getattr(self, name)
        return published


def make_private_application() -> Callable[..., Any]:
    """Return the whole private instance as a WSGI application.

    The components must have been registered, and the database been set.
    """
    application = make_application(lambda request: getUtility(IPrivateApplication))
    return BodyLimit(application, config.codeimportscheduler.max_body)
