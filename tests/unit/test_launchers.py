"""The launchers say what is missing, install once, and heal what was interrupted.

They really run, in a checkout with three small packages in its lock, which are taken from the
environment that runs the tests: nothing comes from the network.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
import zipfile
from importlib.metadata import distribution
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAUNCHERS = ("codeimport", "test", "check")
NEEDED = ("LICENSE", "README.md", "bin", "pyproject.toml", "setup.cfg")
PINNED = ("packaging", "setuptools", "wheel")
TOOLS = ("cat", "cmp", "dirname", "readlink")
PYTHON = os.path.realpath(getattr(sys, "_base_executable", sys.executable))

# Stands for the command line; it must run in the checkout's own environment.
MAIN = """
import sys
def main():
    print(sys.prefix, *sys.argv[1:], sep="|")
"""

# Stand for programs that are too old, or not whole.
OLD_PYTHON = """#!/bin/sh
case $* in --version) echo Python 3.9.18 ;; *) exit 1 ;; esac
"""
BARE_PYTHON = """#!/bin/sh
echo headers; echo venv
"""
OLD_GIT = """#!/bin/sh
echo git version 2.20.1
"""


def make_wheel(name: str, folder: Path) -> str:
    """Pack an installed package into a wheel again; return its line for a lock."""
    package = distribution(name)
    path = folder / f"{name}-{package.version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for file in package.files or []:
            if ".." not in file.parts and file.suffix != ".pyc":
                wheel.write(str(file.locate()), str(file))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{name}=={package.version} \\\n    --hash=sha256:{digest}\n"


def make_checkout(folder: Path) -> None:
    """Copy what the launchers need, with a lock and a program of a few lines.

    The lock's wheels lie beside it.
    """
    folder.mkdir()
    for name in NEEDED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    scripts = folder / "lib" / "lp" / "scripts"
    scripts.mkdir(parents=True)
    for module in (scripts.parent / "__init__.py", scripts / "__init__.py"):
        module.touch()
    (scripts / "main.py").write_text(MAIN)
    wheels = folder.parent / "wheels"
    wheels.mkdir()
    lock = "".join(make_wheel(name, wheels) for name in PINNED)
    (folder / "requirements.lock").write_text(lock)


def make_programs(folder: Path, **programs: str) -> Path:
    """Make a folder for PATH with what the launchers themselves call, and `programs`.

    Each is the path of an executable, or the text of a script.
    """
    folder.mkdir()
    for tool in TOOLS:
        (folder / tool).symlink_to(str(shutil.which(tool)))
    for name, program in programs.items():
        path = folder / name
        if program.startswith("#!"):
            path.write_text(program)
            path.chmod(0o755)
        else:
            path.symlink_to(program)
    return folder


def start(launcher: Path, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    """Start a launcher in a process group of its own."""
    wheels = launcher.resolve().parents[2] / "wheels"
    return subprocess.Popen(
        [launcher, *arguments],
        cwd="/",
        env={
            "HOME": "/nonexistent",
            "PATH": os.environ["PATH"],
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_FIND_LINKS": str(wheels),
            "PIP_NO_INDEX": "1",
            **environment,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Return a launcher's exit status, output and messages."""
    output, messages = process.communicate(timeout=120)
    return process.returncode, output, messages


class TestMissing(unittest.TestCase):
    """Nothing is installed where something is missing, and all that is missing is said."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="launchers-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.checkout = self.folder / "checkout"
        make_checkout(self.checkout)
        self.whole = {"cc": "/bin/true", "git": str(shutil.which("git")), "python3": PYTHON}

    def assert_refused(self, programs: dict[str, str], *words: str, **environment: str) -> str:
        path = make_programs(Path(tempfile.mkdtemp(dir=self.folder)) / "bin", **programs)
        launcher = self.checkout / "bin" / "codeimport"
        status, output, messages = finish(start(launcher, PATH=str(path), **environment))
        self.assertEqual((69, ""), (status, output), messages)
        for word in words:
            self.assertIn(word, messages)
        self.assertEqual(1, messages.count("apt-get install"))
        left_behind = [path.name for path in self.checkout.glob(".venv*")]
        self.assertEqual([], left_behind)
        return messages

    def without(self, *names: str, **others: str) -> dict[str, str]:
        rest = {name: path for name, path in self.whole.items() if name not in names}
        return {**rest, **others}

    def test_without_compiler(self) -> None:
        # Storm is compiled: no compiler, no installation, and nothing else is complained of.
        messages = self.assert_refused(
            self.without("cc"), "a C compiler (cc)", "apt-get install gcc libc6-dev\n"
        )
        self.assertNotIn("Git", messages)

    def test_every_launcher(self) -> None:
        # Each launcher checks before it installs, and speaks under its own name.
        path = make_programs(self.folder / "programs", **self.without("cc"))
        for name in LAUNCHERS:
            status, _, messages = finish(start(self.checkout / "bin" / name, PATH=str(path)))
            self.assertEqual(69, status)
            self.assertTrue(messages.startswith(f"bin/{name}: nothing was installed"), messages)

    def test_compiler_of_the_environment_variable(self) -> None:
        # CC names the compiler, with options perhaps, and that one must be there.
        compiler = "/nonexistent/cc -m64"
        self.assert_refused(self.whole, "a C compiler (/nonexistent/cc)", CC=compiler)

    def test_without_git(self) -> None:
        # The fleet runs git.
        self.assert_refused(self.without("git"), "Git 2.34 or newer.\n", "apt-get install git\n")

    def test_with_old_git(self) -> None:
        # The version that was found is said.
        old = "Git 2.34 or newer (found: 2.20.1)"
        self.assert_refused(self.without("git", git=OLD_GIT), old)

    def test_with_old_python_only(self) -> None:
        # Only the launcher can say this: nothing of ours runs on an old Python.
        self.assert_refused(
            self.without("python3", python3=OLD_PYTHON),
            "Python 3.11 or newer (found: Python 3.9.18)",
            "apt-get install python3 python3-dev python3-venv\n",
        )

    def test_python_that_is_not_whole(self) -> None:
        # Debian packs Python's headers and modules apart, named after the version.
        self.assert_refused(
            self.without("python3", **{"python3.12": BARE_PYTHON}),
            "the headers of Python (Python.h for python3.12)",
            "the modules venv and ensurepip of python3.12",
            "apt-get install python3.12-dev python3.12-venv\n",
        )

    def test_everything_missing_at_once(self) -> None:
        # One message, one command.
        self.assert_refused(
            {},
            "Python 3.11 or newer; a C compiler (cc); Git 2.34 or newer.\n",
            "apt-get install python3 python3-dev python3-venv gcc libc6-dev git\n",
        )


class InstalledLayer:
    """A checkout whose first installation was killed, and the second was not."""

    folder: Path
    checkout: Path
    after_kill: list[str]
    second: tuple[int, str, str]

    @classmethod
    def setUp(cls) -> None:
        """Install twice: kill the first while pip is at work."""
        cls.folder = Path(tempfile.mkdtemp(prefix="launchers-"))
        cls.checkout = cls.folder / "a checkout"
        make_checkout(cls.checkout)
        path = make_programs(cls.folder / "programs", python3=PYTHON)
        cls.path = f"{path}:{os.environ['PATH']}"
        with start(cls.checkout / "bin" / "codeimport", PATH=cls.path) as first:
            while "installing" not in (first.stderr or []).readline():
                pass
            os.killpg(first.pid, signal.SIGKILL)
        made = [cls.checkout / ".venv" / name for name in ("bin/python", "stamp")]
        cls.after_kill = [path.name for path in made if path.exists()]
        cls.second = finish(start(cls.checkout / "bin" / "codeimport", "list", PATH=cls.path))

    @classmethod
    def tearDown(cls) -> None:
        """Remove the checkout."""
        shutil.rmtree(cls.folder)


class TestInstalled(unittest.TestCase):
    """An installation happens once, and again when it must."""

    layer = InstalledLayer

    def setUp(self) -> None:
        self.checkout = InstalledLayer.checkout
        self.launcher = self.checkout / "bin" / "codeimport"
        self.venv = self.checkout / ".venv"
        # Each test leaves the installation as it found it: up to date, by its stamp.
        for name in ("requirements.lock", "setup.cfg", ".venv/stamp"):
            path = self.checkout / name
            self.addCleanup(path.write_text, path.read_text())

    def run_launcher(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        environment.setdefault("PATH", InstalledLayer.path)
        return finish(start(self.launcher, *arguments, **environment))

    def change(self, name: str, addition: str) -> None:
        with (self.checkout / name).open("a") as file:
            file.write(addition)

    def test_interrupted_installation_heals(self) -> None:
        # A killed installation leaves no stamp, so the next launcher begins again.
        self.assertEqual(["python"], InstalledLayer.after_kill)
        status, output, messages = InstalledLayer.second
        self.assertEqual((0, f"{self.venv}|list\n"), (status, output), messages)
        self.assertIn("bin/codeimport: making .venv with Python 3.", messages)
        self.assertIn("bin/codeimport: .venv is ready after ", messages)

    def test_up_to_date_needs_nothing(self) -> None:
        # Neither Python, pip, git nor a compiler is looked for; not a word is said.
        path = InstalledLayer.folder / "nothing"
        if not path.exists():
            make_programs(path)
        result = self.run_launcher("show", "a  b", "*", PATH=str(path))
        self.assertEqual((0, f"{self.venv}|show|a  b|*\n", ""), result)

    def test_through_symbolic_links(self) -> None:
        # A link to a link, relative ones too, leads to the same checkout.
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "absolute").symlink_to(self.launcher)
            self.launcher = Path(folder) / "relative"
            self.launcher.symlink_to("absolute")
            self.assertEqual((0, f"{self.venv}|list\n", ""), self.run_launcher("list"))

    def test_foreign_environment(self) -> None:
        # Another environment's variables change nothing.
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "lp.py").write_text("raise SystemExit('shadowed')")
            result = self.run_launcher(
                "list",
                PYTHONPATH=folder,
                PYTHONHOME=folder,
                VIRTUAL_ENV=folder,
                PIP_REQUIRE_VIRTUALENV="1",
            )
        self.assertEqual((0, f"{self.venv}|list\n", ""), result)

    def test_stale_stamp(self) -> None:
        # What the environment was made from has changed: it is refreshed, once, in place.
        self.change("setup.cfg", "# A comment.\n")
        status, output, messages = self.run_launcher("list", PYTHONPATH="/nonexistent")
        self.assertEqual((0, f"{self.venv}|list\n"), (status, output), messages)
        self.assertNotIn("making .venv with", messages)
        self.assertIn("installing this checkout", messages)
        self.assertEqual((0, f"{self.venv}|list\n", ""), self.run_launcher("list"))

    def test_package_that_left_the_lock(self) -> None:
        # The environment is what the lock says, and not what it said once.
        site_packages = next(self.venv.glob("lib/python3.*/site-packages"))
        extra = site_packages / "extra-1.0.dist-info"
        extra.mkdir()
        (extra / "METADATA").write_text("Metadata-Version: 2.1\nName: extra\nVersion: 1.0\n")
        (extra / "RECORD").write_text("extra-1.0.dist-info/METADATA,,\n")
        self.change("requirements.lock", "# A comment.\n")
        status, _, messages = self.run_launcher("list")
        self.assertEqual((0, False), (status, (extra / "METADATA").exists()), messages)

    def test_two_launchers_at_once(self) -> None:
        # One refreshes, the other waits for it; both go on.
        self.change("setup.cfg", "# Another comment.\n")
        launchers = [start(self.launcher, "list", PATH=InstalledLayer.path) for _ in range(2)]
        results = [finish(process) for process in launchers]
        self.assertEqual([(0, f"{self.venv}|list\n")] * 2, [result[:2] for result in results])
        messages = "".join(result[2] for result in results)
        self.assertEqual(1, messages.count(".venv is ready"), messages)

    def test_failed_installation(self) -> None:
        # pip's last words are shown, its log is named, and there is no stamp.
        stamp = self.venv / "stamp"
        self.change("requirements.lock", f"absent==1.0 --hash=sha256:{'0' * 64}\n")
        status, output, messages = self.run_launcher("list")
        self.assertEqual((1, "", False), (status, output, stamp.exists()), messages)
        self.assertIn("No matching distribution found for absent==1.0", messages)
        self.assertIn(f"the log {self.checkout}/.venv.log ends so:", messages)

    def test_copied_checkout(self) -> None:
        # An environment cannot be moved: in a copy of the checkout it is stale.
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "copy"
            shutil.copytree(self.checkout, copy, symlinks=True)
            path = make_programs(Path(folder) / "programs")
            self.launcher = copy / "bin" / "codeimport"
            status, _, messages = self.run_launcher("list", PATH=str(path))
        self.assertEqual(69, status, messages)
