"""The data of a server that root must run as nobody, who may not enter root's folders.

Only used where root cannot make a user namespace.  Then the home's ``data`` is a link to
a new folder, in the home if nobody can enter that and else under ``/var/lib``, with a
copy of PostgreSQL's programs in it.
"""

__all__ = ["make_place", "programs_elsewhere", "restrict_to_owner"]

import os
import pwd
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

from lp.services.database.errors import HomeUnusable, RootRefused
from lp.services.database.places import Places, is_fit_for_socket
from lp.services.database.programs import PACKAGE, Programs, nobody_programs

VAR_LIB = Path("/var/lib")
PREFIX = "codeimport-postgresql-"


def make_place(places: Places) -> None:
    """Make the folder for the data of a home, and let the home's ``data`` point to it.

    :raise RootRefused: if it cannot be made.
    """
    in_home = is_open_to_all(places.home) and is_fit_for_socket(
        places.home / f"{PREFIX}12345678" / "cluster" / "socket"
    )
    try:
        place = Path(tempfile.mkdtemp(prefix=PREFIX, dir=places.home if in_home else VAR_LIB))
        place.chmod(0o711)
        nobody = nobody_programs(place)
        for folder in (place / "cluster", place / "cluster" / "socket"):
            folder.mkdir(mode=0o700)
            os.chown(folder, nobody.uid, nobody.gid)
        target = place / "cluster" / "data"
        # A relative link moves with the home.
        places.data.symlink_to(os.path.relpath(target, places.folder) if in_home else target)
    except (OSError, KeyError) as error:
        raise RootRefused(f"no place for the data of the user nobody: {error}") from error


def is_open_to_all(folder: Path) -> bool:
    """Return whether any user may enter a folder."""
    return all(path.stat().st_mode & 0o001 for path in (folder, *folder.parents))


def programs_elsewhere(places: Places, folder: Path) -> Programs:
    """Return the programs as nobody can run them, copied if they are not yet.

    :param folder: Where the programs are installed.
    :raise RootRefused: if they cannot be copied or run.
    :raise HomeUnusable: if the folder for the data has vanished.
    """
    place = Path(os.path.realpath(places.data)).parents[1]
    if not place.exists():
        raise HomeUnusable(
            f"The folder {place} with the database is gone; restore it, or remove the link"
            f" {places.data} to begin with an empty database."
        )
    copy = place / f"programs-{version(PACKAGE)}"
    try:
        if not copy.exists():
            copy_programs(folder.parent, copy)
        programs = nobody_programs(copy / PACKAGE / folder.parent.name / "bin")
    except (OSError, KeyError) as error:
        raise RootRefused(f"nobody cannot be given PostgreSQL's programs: {error}") from error
    if reason := programs.refusal():
        raise RootRefused(f"nobody cannot run PostgreSQL: {reason}")
    return programs


def copy_programs(installed: Path, copy: Path) -> None:
    """Copy the three programs that are needed, and what they load, in one step."""
    new = Path(tempfile.mkdtemp(prefix="new-", dir=copy.parent))
    target = new / PACKAGE / installed.name
    (target / "bin").mkdir(parents=True)
    for name in ("initdb", "postgres", "pg_ctl"):
        shutil.copy2(installed / "bin" / name, target / "bin" / name)
    for name in ("lib", "share"):
        shutil.copytree(installed / name, target / name)
    # The programs look for their libraries relative to themselves.
    libraries = installed.parents[1] / f"{PACKAGE}.libs"
    if libraries.exists():
        shutil.copytree(libraries, new / libraries.name)
    for folder in (new, *(path for path in new.rglob("*") if path.is_dir())):
        folder.chmod(0o755)
    new.rename(copy)


def restrict_to_owner(data: Path) -> None:
    """Let nobody but root connect to a server that nobody runs.

    Other services of the system run as nobody, too, and could enter its folders.
    """
    owner = pwd.getpwuid(os.geteuid()).pw_name
    (data / "pg_ident.conf").write_text(f'codeimport "{owner}" codeimport\n', encoding="utf-8")
    (data / "pg_hba.conf").write_text("local all all peer map=codeimport\n", encoding="utf-8")
