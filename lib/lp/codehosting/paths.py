"""Where target repositories are on disk."""

__all__ = ["mirror_path", "target_root"]

from pathlib import Path

from lp.services.config import config


def target_root() -> Path:
    """Return the folder of all targets, absolute; it need not exist."""
    configured = str(config.codehosting.target_root)
    return Path(configured).absolute() if configured else config.home / "mirrors"


def mirror_path(unique_name: str) -> Path:
    """Return the path of a target; it exists from its first run on.

    :param unique_name: The target's name.
    """
    return target_root() / f"{unique_name}.git"
