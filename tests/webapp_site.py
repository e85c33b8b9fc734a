"""A small site for the tests of the web application and of its server.

Run as a program it serves itself, without a database, on a free port::

    python tests/webapp_site.py WORKERS [LOG_FILE [broken]]
"""

__all__ = ["ICalculator", "ISite", "make_site"]

import os
import sys
import time
import xmlrpc.client
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from pyramid.interfaces import IRequest
from zope.component import getGlobalSiteManager
from zope.interface import Attribute, Interface, implementer

from lp.services.log import configure_logging
from lp.services.webapp import serving
from lp.services.webapp.application import make_application
from lp.services.webapp.interfaces import IXMLRPCApplication, IXMLRPCView
from lp.services.webapp.limits import BodyLimit

MAX_BODY = 1_000_000


class ISite(IXMLRPCApplication):
    """Where the calculator is published."""


class ICalculator(IXMLRPCView):
    """A few methods of all kinds."""

    precision = Attribute("How many digits are right.")

    def add(augend: int, addend: int = 1) -> int:
        """Add two numbers.

        :param augend: The first number.
        :param addend: The second one.
        """

    def echo(value: Any) -> Any:
        """Return what was sent."""

    def divide(dividend: int, divisor: int) -> int:
        """Divide, or fail in a way that nobody foresaw."""

    def returnRefusal() -> int:
        """Refuse by returning a fault."""

    def raiseRefusal() -> int:
        """Refuse by raising a fault."""

    def sleep(seconds: float) -> int:
        """Sleep, and return the id of the process that did."""

    def _secret() -> int:
        """Stay private, whatever an interface says."""


class INotPublished(Interface):
    """An interface of the view that has nothing to do with XML-RPC."""

    def shutDown() -> None:
        """Do harm."""


@implementer(ISite)
class Site:
    """See `ISite`."""


class Root(dict[str, ISite]):
    """The root object, a segment of which is broken."""

    def __getitem__(self, name: str) -> ISite:
        if name == "broken":
            raise ZeroDivisionError
        return super().__getitem__(name)


@implementer(ICalculator, INotPublished)
class Calculator:
    """See `ICalculator`."""

    precision = 10

    def __init__(self, context: ISite, request: IRequest) -> None:
        self.context = context
        self.request = request

    def add(self, augend: int, addend: int = 1) -> int:
        """See `ICalculator`."""
        return augend + addend

    def echo(self, value: Any) -> Any:
        """See `ICalculator`."""
        return value

    def divide(self, dividend: int, divisor: int) -> int:
        """See `ICalculator`."""
        return dividend // divisor

    def returnRefusal(self) -> int | xmlrpc.client.Fault:
        """See `ICalculator`."""
        return xmlrpc.client.Fault(7, "Not today.")

    def raiseRefusal(self) -> int:
        """See `ICalculator`."""
        raise xmlrpc.client.Fault(8, "Never.")

    def sleep(self, seconds: float) -> int:
        """See `ICalculator`."""
        time.sleep(seconds)
        return os.getpid()

    def shutDown(self) -> None:
        """See `INotPublished`."""
        sys.exit(1)

    def _secret(self) -> int:
        """See `ICalculator`."""
        return 42


def make_site(view: type = Calculator, max_body: int = MAX_BODY) -> BodyLimit:
    """Return a WSGI application that publishes a view as ``/calculator``."""
    registry = getGlobalSiteManager()
    registry.registerAdapter(view, (ISite, IRequest), IXMLRPCView)
    root = Root(calculator=Site())
    return BodyLimit(make_application(lambda request: root), max_body)


def load_site(log_file: Path | None) -> BodyLimit:
    """Return the application, in a worker process."""
    configure_logging(log_file)
    return make_site()


def load_nothing(log_file: Path | None) -> NoReturn:
    """Fail, in a worker process."""
    configure_logging(log_file)
    raise RuntimeError("This site is broken.")


def main(workers: str, log_file: str | None = None, broken: str | None = None) -> int:
    """Serve until a signal comes, and return the exit code."""
    log_path = Path(log_file) if log_file else None
    configure_logging(log_path)
    listener = serving.listen("127.0.0.1", 0)
    url = serving.url_of(listener, "/calculator")
    return serving.serve(
        listener,
        partial(load_nothing if broken else load_site, log_path),
        workers=int(workers),
        on_ready=lambda: print(f"Serving on {url}", flush=True),
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
