"""``codeimport serve``: the scheduler, over XML-RPC."""

__all__ = ["serve"]

import logging
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click

from lp.services import log
from lp.services.config import config
from lp.services.database.embedded import EmbeddedServer
from lp.services.database.opening import connect_database, open_database
from lp.services.startup import initialize
from lp.services.webapp import serving

logger = logging.getLogger(__name__)

PATH = "/codeimportscheduler"

# Seconds between two looks at the embedded database, and after it could not be started.
WATCH_INTERVAL = 0.2
RETRY_INTERVAL = 5.0


@click.command()
@click.option("--host", metavar="ADDR", help="Listen on this address.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    help="Listen on this port; 0 chooses a free one.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    metavar="N",
    help="Answer calls with so many processes.",
)
@click.option(
    "--log-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Log to this file instead of standard error. SIGHUP opens it anew.",
)
def serve(
    host: str | None, port: int | None, workers: int | None, log_file: Path | None
) -> NoReturn:
    """Run the scheduler: hand out jobs to import machines by XML-RPC.

    Runs until SIGTERM or Ctrl-C, and lets the calls finish then that it is answering.
    Defaults are in the configuration, in [codeimportscheduler] and [vhost.xmlrpc_private].
    """
    _stop_cleanly()
    initialize(config.path)
    log_file = log_file and log_file.absolute()
    log.configure_logging(log_file)
    log.reopen_on_hangup()
    listener = serving.listen(
        host or config.codeimportscheduler.host,
        config.vhost.xmlrpc_private.private_port if port is None else port,
    )
    with listener, open_database() as database, kept_alive(database.server):
        url = serving.url_of(listener, PATH)
        code = serving.serve(
            listener,
            partial(load_application, config.path, log_file),
            workers=workers or config.codeimportscheduler.workers,
            on_ready=partial(announce, url),
        )
    sys.exit(code)


def _stop_cleanly() -> None:
    """Let signals unwind the stack while the server is not up yet."""

    def stop(signum: int, _frame: FrameType | None) -> NoReturn:
        sys.exit(130 if signum == signal.SIGINT else 0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def announce(url: str) -> None:
    """Say that the server is ready.

    :param url: Where it is.
    """
    click.echo(f"Serving on {url}")
    logger.info("serving", extra={"url": url})


@contextmanager
def kept_alive(server: EmbeddedServer | None) -> Iterator[None]:
    """Start the embedded database again whenever it dies while the block runs.

    :param server: The database, held by this process; None if it is not ours.
    """
    if server is None:
        yield
        return
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(server, over), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        # Before the database is stopped, which must not look like a death.
        over.set()
        watcher.join()


def _watch(server: EmbeddedServer, over: threading.Event) -> None:
    """Look after the database until it is over."""
    while not over.wait(WATCH_INTERVAL):
        if server.is_alive():
            continue
        try:
            revived = server.revive()
        except Exception:
            logger.exception("the database cannot be started again")
            over.wait(RETRY_INTERVAL)
        else:
            if revived:
                logger.warning("the database was down and has been started again")


def load_application(config_path: Path | None, log_file: Path | None) -> Any:
    """Return the WSGI application, in a process that has nothing yet.

    :param config_path: The configuration file; None if there is none.
    :param log_file: Where to log; None means standard error.
    """
    log.configure_logging(log_file)
    initialize(config_path)
    connect_database()
    # The main process, which answers nothing, does without it.
    from lp.xmlrpc.application import make_private_application

    return make_private_application()
