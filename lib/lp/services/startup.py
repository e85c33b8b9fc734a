"""The one start-up function of every command, server and test layer."""

__all__ = ["initialize"]

import os
import sys
from pathlib import Path

from zope.configuration.xmlconfig import XMLConfig

import lp
from lp.services.config import config
from lp.services.errors import ServiceError

_site_loaded = False


class SiteMissing(ServiceError):
    """The site's configure.zcml is neither in the checkout nor in the installation."""

    exit_code = os.EX_CONFIG


def initialize(config_path: Path | None = None) -> None:
    """Load the configuration and register the components.

    Must have been called before any ``getUtility``.  A second call loads the
    configuration again, and registers nothing twice.  No database is touched.

    :param config_path: The configuration file; None means the usual places.
    :raise ConfigurationError: if the configuration cannot be used.
    :raise SiteMissing: if the installation is incomplete.
    """
    global _site_loaded  # noqa: PLW0603 - the component registry is global, too
    config.load(config_path)
    if not _site_loaded:
        register_components()
        _site_loaded = True


def register_components() -> None:
    """Load the site's ZCML into the global registry, also when it was loaded before.

    :raise SiteMissing: if the installation is incomplete.
    """
    XMLConfig(str(find_site()))()


def find_site() -> Path:
    """Return the path of the site's ``configure.zcml``.

    :raise SiteMissing: if it is nowhere.
    """
    checkout = Path(lp.__path__[0]).parents[1]
    for folder in (checkout, Path(sys.prefix) / "etc" / "codeimports"):
        site = folder / "configure.zcml"
        if site.exists():
            return site
    raise SiteMissing("The file configure.zcml is missing; install the project again.")
