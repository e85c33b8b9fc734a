"""Worker processes that answer HTTP on one socket, run by granian.

The socket is made here and inherited by the workers, instead of each worker opening one
of its own under the same port, as granian does on Linux.  So a port is never shared
with another server by accident, the number of a free port is known at once, and a
connection that waits while a worker ends or is replaced is taken by another one.
"""

__all__ = ["AddressUnusable", "PortTaken", "listen", "serve", "url_of"]

import ctypes
import errno
import http.client
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any, NoReturn

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server.mp import MPServer

from lp.services.errors import ServiceError
from lp.services.log import handle_hangup, reopen_on_hangup

logger = logging.getLogger(__name__)

BACKLOG = 1024

# Each thread that answers calls may hold a connection to the database.
THREADS = 8

# How many connections a worker has at once.  An idle one counts as well, and machines
# keep theirs open: this must be far above the number of threads.
CONNECTIONS = 512

# Seconds that a stopping server waits for the requests which it is answering.
STOP_SECONDS = 30

# Seconds for which a taken port is tried: the workers of a server that was killed
# need a moment to notice.
PORT_SECONDS = 1.0

# Warnings of granian about numbers that are chosen with care here.
NOISE = ("Configuration allows spawning", "Configured number of workers")

# Signals that are sent to a process from outside, and say nothing of its health.
SENT = frozenset([-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP])

PR_SET_PDEATHSIG = 1


class PortTaken(ServiceError):
    """Another process listens on the port."""

    exit_code = os.EX_UNAVAILABLE


class AddressUnusable(ServiceError):
    """The address is not this machine's, or the port is not for everybody."""

    exit_code = os.EX_UNAVAILABLE


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that has the port to itself; it listens, and nobody answers yet.

    :param host: An address of this machine, or a name that has one.
    :param port: The port; 0 means any that is free.
    :raise PortTaken: if another process has it.
    :raise AddressUnusable: if this process may not have it.
    """
    deadline = time.monotonic() + PORT_SECONDS
    while True:
        try:
            return _bind(host, port)
        except UnicodeError as error:
            raise AddressUnusable(f"{host!r} is no address and no name of a host.") from error
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise AddressUnusable(
                    f"Nothing can listen on {host}, port {port}: {error.strerror}."
                ) from error
            if time.monotonic() > deadline:
                raise PortTaken(
                    f"Port {port} is taken: stop what uses it, or choose another one."
                ) from error
            time.sleep(0.05)


def _bind(host: str, port: int) -> socket.socket:
    """Return a socket that is bound, or raise OSError."""
    flags = socket.AI_PASSIVE
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        # Connections that a former server closed do not make the port taken.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # Two that only bind can have one port; two that listen cannot.
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def url_of(listener: socket.socket, path: str = "/") -> str:
    """Return the URL under which a socket is reached from this machine.

    :param listener: What `listen` returned.
    :param path: The path of the URL.
    """
    host, port = _reachable(listener)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{path}"


def _reachable(listener: socket.socket) -> tuple[str, int]:
    """Return an address and the port by which this machine reaches a socket."""
    host, port = listener.getsockname()[:2]
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104


def serve(
    listener: socket.socket,
    loader: Callable[[], Any],
    *,
    workers: int,
    on_ready: Callable[[], None],
) -> int:
    """Answer requests until a signal comes; call it in the main thread.

    SIGTERM and SIGINT let the requests finish that are being answered.  SIGHUP opens the
    log file anew.  A worker that ends is replaced.  When this process ends in whatever
    way, so do the workers.

    :param listener: What `listen` returned; it is closed in the end.
    :param loader: Called in each worker, with what this process cannot give to it;
        returns the WSGI application.  It must be picklable.
    :param workers: How many processes answer requests.
    :param on_ready: Called, in another thread, once the first request is answered.
    :return: The exit code of the process: 0 after SIGTERM, 130 after SIGINT, and 1 when
        the workers could not be kept up.
    """
    # A forked worker would inherit what must not be shared: connections and locks.
    multiprocessing.set_start_method("spawn", force=True)
    listener.listen(BACKLOG)
    listener.setblocking(False)
    server = _Server(listener, workers)
    _keep_signals_coming()
    waiter = threading.Thread(
        target=_wait_until_ready, args=(listener.dup(), on_ready), daemon=True
    )
    server.on_startup(waiter.start)
    try:
        server.serve(
            target_loader=partial(_load_in_worker, os.getpid(), loader), wrap_loader=False
        )
    except SystemExit as error:
        logger.critical("the workers could not be kept up")
        return int(error.code or 0)
    return 130 if server.interrupted_by == signal.SIGINT else 0


class _Server(MPServer):
    """granian with a socket, logging and signals of our own."""

    def __init__(self, listener: socket.socket, workers: int) -> None:
        self._listener = listener
        self.interrupted_by: int | None = None
        host, port = _reachable(listener)
        super().__init__(
            "",
            address=host,
            port=port,
            interface=Interfaces.WSGI,
            workers=workers,
            blocking_threads=THREADS,
            backpressure=CONNECTIONS,
            http=HTTPModes.http1,
            websockets=False,
            respawn_failed_workers=True,
            respawn_interval=0.2,
            workers_kill_timeout=STOP_SECONDS,
            log_level=LogLevels.warning,
            # Its records go the way of all others.
            log_dictconfig={
                "formatters": {},
                "handlers": {},
                "loggers": {"_granian": {"handlers": [], "propagate": True}},
            },
        )
        logging.getLogger("_granian").addFilter(_is_no_noise)

    def _init_shared_socket(self) -> None:
        """Let the workers inherit our socket, as they do on systems other than Linux."""
        self._ssp = None
        self._sso = self._listener
        descriptor = self._listener.fileno()
        holder: Any = SocketHolder
        self._shd: Any = holder(descriptor, False, BACKLOG)

    def _respawn_workers(self, workers: list[int], *args: Any, **options: Any) -> None:
        """Replace workers, and do not take one that was killed for one that cannot start.

        Otherwise the second kill within some seconds would end the whole server.
        """
        killed = [index for index in workers if self.wrks[index].inner.exitcode in SENT]
        super()._respawn_workers(workers, *args, **options)
        for index in killed:
            self.respawned_wrks.pop(index, None)

    def signal_handler_interrupt(self, signum: int, frame: FrameType | None) -> None:
        """Stop, and remember why."""
        self.interrupted_by = signum
        super().signal_handler_interrupt(signum, frame)  # type: ignore[no-untyped-call]

    def signal_handler_reload(self, signum: int, frame: FrameType | None) -> None:
        """Open the log anew; granian would replace every worker."""
        handle_hangup(signum, frame)


def _is_no_noise(record: logging.LogRecord) -> bool:
    """Whether a record of granian is worth a line."""
    return not record.getMessage().startswith(NOISE)


def _wait_until_ready(listener: socket.socket, on_ready: Callable[[], None]) -> None:
    """Ask until an answer comes, whatever it is; then tell."""
    host, port = _reachable(listener)
    listener.close()
    while True:
        connection = http.client.HTTPConnection(host, port, timeout=60)
        try:
            connection.request("GET", "/")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)
        else:
            break
        finally:
            connection.close()
    on_ready()


def _load_in_worker(parent: int, loader: Callable[[], Any]) -> Any:
    """Prepare a worker process, and return its application."""
    # Out of reach of the terminal's signals, which are for the main process.
    os.setpgid(0, 0)
    _die_with(parent)
    _keep_signals_coming()
    reopen_on_hangup()
    try:
        application = loader()
    except Exception:
        logger.exception("the worker cannot start")
        sys.exit(1)
    logger.info("worker started", extra={"pid": os.getpid()})
    return application


def _keep_signals_coming() -> None:
    """See to it that no signal waits for ever; call it in the main thread.

    Python runs a handler when its main thread is interrupted.  A signal that comes just
    before that thread goes to sleep, as ours does for good, does not interrupt it: a
    stop at such a moment was seen to be lost.  So the thread is woken now and then.
    """
    signal.signal(signal.SIGURG, lambda _signum, _frame: None)
    threading.Thread(target=_wake_main_thread, daemon=True).start()


def _wake_main_thread() -> NoReturn:
    """Interrupt the main thread, for ever, by a signal that means nothing."""
    sleeper = threading.main_thread().ident or 0
    while True:
        time.sleep(0.5)
        signal.pthread_kill(sleeper, signal.SIGURG)


def _die_with(parent: int) -> None:
    """See to it that this process does not outlive the one that started it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # What the kernel does not do, because it cannot or because the other process
    # ended before it was asked, a thread does.
    threading.Thread(target=_watch_parent, args=(parent,), daemon=True).start()


def _watch_parent(parent: int) -> None:
    """End this process as soon as another process is its parent."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
