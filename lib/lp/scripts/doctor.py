"""``codeimport doctor``: is everything that is needed there?"""

__all__ = ["Finding", "doctor"]

import http.client
import os
import re
import shutil
import subprocess
import sys
import xmlrpc.client
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import click
from zope.component import getUtility

from lp.codehosting.paths import target_root
from lp.scripts.output import json_option, show_json
from lp.services.config import config
from lp.services.database.interfaces import IDatabaseSchema
from lp.services.database.opening import open_database
from lp.services.database.stores import main_store
from lp.services.database.transactions import run
from lp.services.errors import ServiceError
from lp.services.log import configure_logging
from lp.services.macaroons.key import macaroon_key
from lp.services.startup import initialize

GIT_NEEDED = (2, 34)

SCHEDULER_PATIENCE = 5.0
"""How many seconds the scheduler may take to answer."""


@dataclass(frozen=True)
class Finding:
    """What was found about one thing.

    :ivar subject: The thing.
    :ivar verdict: ``ok``, ``note`` where it need not be mended, or ``wrong``.
    :ivar text: What was found; if it is wrong, also what to do.
    """

    subject: str
    verdict: str
    text: str


class ImpatientTransport(xmlrpc.client.Transport):
    """A transport that gives up on a server that does not answer."""

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        """Return a connection that waits for some seconds only."""
        connection = super().make_connection(host)
        connection.timeout = SCHEDULER_PATIENCE
        return connection


@click.command()
@json_option
def doctor(as_json: bool) -> int:
    """Look whether everything that is needed is there; exit with 1 if something is wrong."""
    initialize(config.path)
    configure_logging(level="WARNING")
    findings = []
    for finding in examine():
        findings.append(finding)
        if not as_json:
            click.echo(f"{finding.verdict:5}  {finding.subject}: {finding.text}")
    if as_json:
        show_json([asdict(finding) for finding in findings])
    return int(any(finding.verdict == "wrong" for finding in findings))


def examine() -> Iterator[Finding]:
    """Look at one thing after the other."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("Python", "ok", f"{version} at {sys.executable}")
    yield from map(run_check, (check_git, check_home, check_configuration, check_targets))
    yield from map(run_check, (check_key, check_database, check_scheduler))


def run_check(check: Callable[[], Finding]) -> Finding:
    """Return what a check finds; its refusal is a finding, too."""
    try:
        return check()
    except ServiceError as error:
        subject = check.__name__.removeprefix("check_").replace("_", " ").capitalize()
        return Finding(subject, "wrong", str(error))


def check_git() -> Finding:
    """Look for Git."""
    path = shutil.which("git")
    if path is None:
        return Finding("Git", "wrong", "it is missing; on Debian: apt-get install git")
    output = subprocess.run([path, "version"], capture_output=True, text=True, check=False).stdout
    numbers = tuple(map(int, re.findall(r"\d+", output)[:2]))
    if numbers < GIT_NEEDED:
        needed = ".".join(map(str, GIT_NEEDED))
        return Finding("Git", "wrong", f"{output.strip()} is too old; {needed} is needed")
    return Finding("Git", "ok", output.strip())


def check_home() -> Finding:
    """Look at the home folder."""
    home = config.home
    nearest = next(folder for folder in (home, *home.parents) if folder.exists())
    if not os.access(nearest, os.W_OK | os.X_OK) or not nearest.is_dir():
        return Finding("Home", "wrong", f"{nearest} cannot be written; set CODEIMPORT_HOME")
    return Finding("Home", "ok", str(home) if home.exists() else f"{home} (will be made)")


def check_configuration() -> Finding:
    """Say which configuration is used; it has been loaded without complaint."""
    text = str(config.path) if config.path else "no file; the defaults are used"
    return Finding("Configuration", "ok", text)


def check_targets() -> Finding:
    """Look at the folder of the targets."""
    root = target_root()
    if root.exists() and not os.access(root, os.W_OK | os.X_OK):
        return Finding("Targets", "wrong", f"{root} cannot be written")
    return Finding("Targets", "ok", str(root) if root.exists() else f"{root} (will be made)")


def check_key() -> Finding:
    """Look at the key of job tokens; it is made now if there is none."""
    macaroon_key()
    return Finding("Key", "ok", "the key of job tokens is there, and private")


def check_database() -> Finding:
    """Open the database."""
    with open_database() as database:
        [server] = run(lambda: main_store().execute("SHOW server_version").get_one())
        kind = "embedded" if database.server else "by DSN"
        version = getUtility(IDatabaseSchema).version
        text = f"PostgreSQL {server}, {kind}, with schema version {version}"
        return Finding("Database", "ok", text)


def check_scheduler() -> Finding:
    """Call the scheduler where it is configured to be; it need not be running."""
    host = config.codeimportscheduler.host
    host = f"[{host}]" if ":" in host else host
    url = f"http://{host}:{config.vhost.xmlrpc_private.private_port}/codeimportscheduler"
    try:
        with xmlrpc.client.ServerProxy(url, transport=ImpatientTransport()) as scheduler:
            methods = scheduler.system.listMethods()
    except OSError:
        return Finding(
            "Scheduler", "note", f"none answers at {url}; start it with: codeimport serve"
        )
    except (xmlrpc.client.Error, ValueError) as error:
        reason = type(error).__name__
        return Finding("Scheduler", "wrong", f"something else answers at {url} ({reason})")
    if not isinstance(methods, list) or "getJobForMachine" not in methods:
        return Finding("Scheduler", "wrong", f"something else answers at {url}")
    return Finding("Scheduler", "ok", f"it answers at {url}")
