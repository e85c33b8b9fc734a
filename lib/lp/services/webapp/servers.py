"""Requests without a server, for tests and documents."""

__all__ = ["LaunchpadTestRequest"]

from collections.abc import Mapping
from typing import Any

import transaction
from pyramid.interfaces import IRequest
from pyramid.testing import DummyRequest
from zope.component import getGlobalSiteManager
from zope.interface import implementer


@implementer(IRequest)
class LaunchpadTestRequest(DummyRequest):
    """A request that views can be made with.

    :ivar tm: The thread's transaction manager, as every request has it.
    :ivar remote_addr: The caller's address: this machine's.
    """

    def __init__(self, form: Mapping[str, Any] | None = None, **attributes: Any) -> None:
        """Make a request that nobody sent.

        :param form: The fields that a browser would have sent; None for none.
        :param attributes: Further attributes of the request.
        """
        super().__init__(params=dict(form or {}), **attributes)
        # Outside of a real request Pyramid would look into a registry of its own.
        self.registry = getGlobalSiteManager()
        self.tm = transaction.manager
        self.remote_addr = attributes.get("remote_addr", "127.0.0.1")
