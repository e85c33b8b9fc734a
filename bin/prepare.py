"""Make or refresh .venv from requirements.lock and setup.cfg; `prepare.sh` runs it when need be.

The stamp is removed first and written last, so the launcher after an interrupted or failed
installation begins again from nothing. An environment whose lock has merely changed is brought
up to date in place: whatever is running in it goes on.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "stamp"

# pip's output goes here. The same file is the lock between launchers: pip inherits it as its
# standard output, so that it stays locked while a pip lives whose launcher was killed.
LOG = ROOT / ".venv.log"

# Settings of somebody's pip that would install elsewhere, or nothing.
FOREIGN = (
    "DRY_RUN",
    "NO_DEPS",
    "PREFIX",
    "PYTHON",
    "REQUIRE_HASHES",
    "REQUIRE_VIRTUALENV",
    "ROOT",
    "TARGET",
)

# What the packages that exist as source alone are built with comes before them.
BUILDERS = re.compile(r"(packaging|setuptools|wheel)==")

# Seconds between two signs of life.
PATIENCE = 10

# Lines of the log that explain a failure.
TAIL = 15


class PreparationError(Exception):
    """The environment could not be made."""


def head() -> str:
    """Return how the stamp of an environment for this checkout begins."""
    return f"{ROOT}\n{PYTHON.readlink() if PYTHON.is_symlink() else ''}\n"


def read_lock() -> str:
    """Return the text of the lock."""
    return (ROOT / "requirements.lock").read_text(encoding="utf-8")


def wanted_stamp() -> str:
    """Return the stamp of an environment that is up to date, as prepare.sh composes it."""
    return head() + read_lock() + (ROOT / "setup.cfg").read_text(encoding="utf-8")


def normalise(name: str) -> str:
    """Return the one spelling of a distribution's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def environment() -> dict[str, str]:
    """Return the environment for pip: the user's own, made safe for installing into .venv."""
    ignored = {f"PIP_{name}" for name in FOREIGN}
    result = {key: value for key, value in os.environ.items() if key not in ignored}
    result["PIP_USER"] = "0"
    # The compiler that Python itself was built with may not be the one that is here.
    own_compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    if "CC" not in result and shutil.which(own_compiler) is None:
        result["CC"] = "cc"
    return result


class Preparation:
    """One making or refreshing of the environment, told on standard error."""

    def __init__(self, launcher: str, log: IO[str]) -> None:
        self.launcher = launcher
        self.log = log

    def say(self, sentence: str) -> None:
        """Print one line of progress."""
        print(f"{self.launcher}: {sentence}", file=sys.stderr, flush=True)

    def refresh(self) -> None:
        """Bring the environment up to date by the shortest safe way.

        :raise PreparationError: if a step fails; the log says why.
        """
        stamp = STAMP.read_text(encoding="utf-8") if STAMP.is_file() else ""
        STAMP.unlink(missing_ok=True)
        begun = time.monotonic()
        if not (stamp.startswith(head()) and os.access(PYTHON, os.X_OK)):
            self.make_empty()
            self.install_lock()
        elif not stamp.startswith(head() + read_lock()):
            self.install_lock()
            self.prune()
        self.install_project()
        unfinished = STAMP.with_suffix(".new")
        unfinished.write_text(wanted_stamp(), encoding="utf-8")
        unfinished.replace(STAMP)
        self.say(f".venv is ready after {time.monotonic() - begun:.0f} s")

    def make_empty(self) -> None:
        """Make an environment with nothing but pip in it, in place of whatever is there."""
        # The interpreter's real, versioned path: where `python3` leads may change one day.
        base = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        self.say(f"making .venv with Python {version} (once; about half a minute)")
        self.run(base, "-I", "-m", "venv", "--clear", str(VENV))

    def install_lock(self) -> None:
        """Install what the lock pins, and nothing that it does not pin."""
        stanzas = re.split(r"\n(?=\S)", read_lock())
        pinned = [stanza for stanza in stanzas if re.match(r"\w", stanza)]
        self.say("installing the packages of requirements.lock")
        builders = VENV / "builders.txt"
        builders.write_text("\n".join(filter(BUILDERS.match, pinned)), encoding="utf-8")
        for requirements in (builders, ROOT / "requirements.lock"):
            self.pip_install("--require-hashes", "--requirement", str(requirements))

    def prune(self) -> None:
        """Remove what an earlier lock had and this one has not."""
        kept = {normalise(name) for name in re.findall(r"(?m)^([\w.-]+)==", read_lock())}
        listing = subprocess.run(
            [PYTHON, "-I", "-m", "pip", "list", "--exclude-editable", "--format=json"],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=self.log,
            check=False,
        )
        if listing.returncode != 0:
            raise PreparationError
        names = {normalise(package["name"]) for package in json.loads(listing.stdout)}
        if superfluous := sorted(names - kept - {"pip"}):
            self.pip("uninstall", "--yes", *superfluous)

    def install_project(self) -> None:
        """Install this checkout itself, so that its sources are what runs."""
        self.say("installing this checkout")
        self.pip_install("--editable", str(ROOT))

    def pip_install(self, *arguments: str) -> None:
        """Install with the lock's versions alone, for running and for building."""
        self.pip("install", "--no-deps", "--no-build-isolation", *arguments)

    def pip(self, *arguments: str) -> None:
        """Run pip in the environment, where the user's configuration says from where."""
        self.run(
            str(PYTHON), "-I", "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments
        )

    def run(self, *command: str) -> None:
        """Run `command` into the log, with a sign of life now and then.

        :raise PreparationError: if it ends with an error.
        """
        with subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        ) as process:
            try:
                while (status := self.wait(process)) is None:
                    self.say(f"still at it: {self.tail(1).strip()[:60]}")
            except BaseException:
                process.terminate()
                raise
        if status != 0:
            raise PreparationError

    @staticmethod
    def wait(process: "subprocess.Popen[bytes]") -> int | None:
        """Return the exit status of `process`, or None if it is still running for now."""
        try:
            return process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            return None

    def tail(self, count: int) -> str:
        """Return the last `count` lines of the log."""
        text = LOG.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-count:])


def lock(preparation: Preparation) -> None:
    """Wait until no other launcher is making the environment."""
    try:
        fcntl.flock(preparation.log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        preparation.say("waiting for another launcher, which is making .venv")
        fcntl.flock(preparation.log, fcntl.LOCK_EX)


def main(launcher: str) -> int:
    """Make or refresh the environment on behalf of `launcher`; return an exit status."""
    try:
        with LOG.open("a", encoding="utf-8") as log:
            preparation = Preparation(launcher, log)
            lock(preparation)
            if STAMP.is_file() and STAMP.read_text(encoding="utf-8") == wanted_stamp():
                return 0
            log.truncate(0)
            preparation.refresh()
    except PreparationError:
        preparation.say(f"making .venv failed; the log {LOG} ends so:\n{preparation.tail(TAIL)}")
        return 1
    except OSError as error:
        print(f"{launcher}: cannot make .venv: {error}", file=sys.stderr)
        return 73
    except KeyboardInterrupt:
        print(f"\n{launcher}: interrupted; the next launcher begins again", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
