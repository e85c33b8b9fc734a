"""Where the embedded server keeps its things under the home folder, and its socket."""

__all__ = ["SOCKET_NAME", "Places", "is_fit_for_socket"]

import contextlib
import hashlib
import os
import stat
import sys
from pathlib import Path

from lp.services.database.errors import HomeUnusable

SOCKET_NAME = ".s.PGSQL.5432"

# What fits into the sockaddr_un of the system, in bytes, without its final NUL.
LONGEST_SOCKET_PATH = 103 if sys.platform == "darwin" else 107

# Not the environment's temporary folder: every process must come to the same one.
SHORT_FOLDERS = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))  # noqa: S108 - checked below


class Places:
    """The paths of one home's server. Nothing is made before `prepare`.

    :ivar folder: Everything below is in here; only its owner may enter it.
    :ivar data: PostgreSQL's data folder, or a link to it where it had to live elsewhere.
    :ivar pid_file: What the server writes its process id into.
    :ivar log: What the server prints.
    :ivar start_lock: Held by whoever starts or stops the server.
    :ivar users_lock: Held, shared, by everyone who uses it.
    """

    def __init__(self, home: Path) -> None:
        self.home = Path(os.path.realpath(home))
        self.folder = self.home / "postgresql"
        self.data = self.folder / "data"
        self.pid_file = self.data / "postmaster.pid"
        self.log = self.folder / "server.log"
        self.start_lock = self.folder / "start.lock"
        self.users_lock = self.folder / "users.lock"

    @property
    def is_elsewhere(self) -> bool:
        """Whether the data folder is outside the home."""
        return self.data.is_symlink()

    @property
    def socket_folder(self) -> Path:
        """The folder of the server's socket; only the server's owner may enter it."""
        if self.is_elsewhere:
            return Path(os.path.realpath(self.data)).parent / "socket"
        usual = self.folder / "socket"
        return usual if is_fit_for_socket(usual) else self._short_socket_folder()

    def prepare(self) -> None:
        """Make the folder.

        :raise HomeUnusable: if it cannot be made, or is somebody else's.
        """
        if {"\n", "\r"} & set(str(self.home)):
            raise HomeUnusable(
                f"The path of the home folder {str(self.home)!r} has a line break in it, which"
                " PostgreSQL cannot bear; name another one in CODEIMPORT_HOME."
            )
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            make_private_folder(self.folder)
        except OSError as error:
            raise HomeUnusable(
                f"The home folder {self.home} cannot be used: {error.strerror}; name another"
                " one in CODEIMPORT_HOME."
            ) from error

    def prepare_socket_folder(self) -> None:
        """Make the folder of the socket.

        :raise HomeUnusable: if it cannot be made, or is somebody else's.
        """
        folder = self.socket_folder
        try:
            make_private_folder(folder)
        except OSError as error:
            raise HomeUnusable(
                f"The folder {folder} for PostgreSQL's socket cannot be made: {error.strerror};"
                " name a home with a short path in CODEIMPORT_HOME."
            ) from error

    def remove_short_socket_folder(self) -> None:
        """Remove the folder of the socket, empty by now, if it is not in the home."""
        if self.socket_folder.parent in SHORT_FOLDERS:
            with contextlib.suppress(OSError):
                self.socket_folder.rmdir()

    def _short_socket_folder(self) -> Path:
        """Return a folder outside the home, the same for every process and every user's own.

        :raise HomeUnusable: if there is no place for one.
        """
        digest = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        for folder in SHORT_FOLDERS:
            if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
                return folder / f"codeimport-{digest}-{os.geteuid()}"
        raise HomeUnusable(
            f"The path of the home folder {self.home} is too long for a socket, and no temporary"
            " folder can be written to; name a home with a short path in CODEIMPORT_HOME."
        )


def is_fit_for_socket(folder: Path) -> bool:
    """Return whether libpq and the server can both name a socket in a folder."""
    text = str(folder)
    path = os.fsencode(folder / SOCKET_NAME)
    # A comma would separate two hosts, and libpq reads UTF-8 in any locale.
    return (
        len(path) <= LONGEST_SOCKET_PATH
        and "," not in text
        and text.isprintable()
        and text.encode() == os.fsencode(folder)
    )


def make_private_folder(folder: Path) -> None:
    """Make a folder that only its owner may enter, unless it is there.

    :raise OSError: if it cannot be made.
    :raise HomeUnusable: if it is there and somebody else's, or open to others.
    """
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        found = folder.lstat()
    else:
        return
    if not stat.S_ISDIR(found.st_mode):
        raise HomeUnusable(f"{folder} is not a folder; move it away.")
    if found.st_uid != os.geteuid():
        raise HomeUnusable(
            f"The folder {folder} belongs to the user {found.st_uid}, and this is the user"
            f" {os.geteuid()}; run as its owner, or name another home in CODEIMPORT_HOME."
        )
    if found.st_mode & 0o077:
        raise HomeUnusable(
            f"The folder {folder} is open to other users; close it with chmod 700, or move it"
            " away if it is not yours."
        )
