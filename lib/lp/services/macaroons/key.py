"""The key that macaroons are signed with."""

__all__ = ["MacaroonKeyUnusable", "macaroon_key"]

import os
import secrets
import stat
import tempfile
from pathlib import Path

from lp.services.config import config
from lp.services.errors import ServiceError

MINIMUM_LENGTH = 16


class MacaroonKeyUnusable(ServiceError):
    """The key is missing, too short, or readable by others."""

    exit_code = os.EX_CONFIG


def macaroon_key() -> str:
    """Return the configured key, or the home folder's, which is made on first use.

    :raise MacaroonKeyUnusable: if the key is too short, or the file cannot be made, read
        or trusted.
    """
    configured = str(config.launchpad.internal_macaroon_secret_key)
    key = configured or _key_of_home(config.home / "macaroon.key")
    if len(key) < MINIMUM_LENGTH:
        raise MacaroonKeyUnusable(
            f"The key for job tokens has {len(key)} characters; it must have at least"
            f" {MINIMUM_LENGTH}."
        )
    return key


def _key_of_home(path: Path) -> str:
    """Return the key in a file, made now if there is none."""
    try:
        if not path.exists():
            _make_key(path)
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise MacaroonKeyUnusable(
                f"Others can read the key in {path}; make it private with: chmod 600 {path}"
            )
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise MacaroonKeyUnusable(f"The key in {path} cannot be used: {reason}.") from error


def _make_key(path: Path) -> None:
    """Make a file with a new key; of several processes at once, one wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # A temporary file has mode 0600 from the start, and appears whole under its name.
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".macaroon-") as temporary:
        temporary.write(secrets.token_urlsafe(48).encode("ascii"))
        temporary.flush()
        os.fsync(temporary.fileno())
        try:
            os.link(temporary.name, path)
        except FileExistsError:
            return
