"""The configuration: a schema, one file over it, and overlays.

Read a value as ``config.codeimport.consecutive_failure_limit``.  Values are integers,
booleans or text, as the schema's default shows.
"""

__all__ = ["Configuration", "ConfigurationError", "config"]

import configparser
import os
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from lazr.config import Config, ConfigSchema, as_boolean
from lazr.config.interfaces import ConfigErrors
from lazr.config.interfaces import ConfigSchemaError as LazrConfigError

from lp.services.errors import ServiceError

BOOLEAN_WORDS = frozenset(["yes", "no"])
NUMBER = re.compile(r"[0-9]{1,9}")

CHOICES = {("codeimportscheduler", "unknown_machines"): ("online", "offline", "refuse")}
"""The values of keys that allow a few words only."""

RANGES = {
    ("codeimport", "consecutive_failure_limit"): (1, 1_000),
    ("codeimportscheduler", "workers"): (1, 64),
    ("codeimportscheduler", "max_body"): (1, 999_999_999),
    ("vhost.xmlrpc_private", "private_port"): (0, 65_535),
}
"""The numbers that can be neither arbitrarily small nor arbitrarily large."""


class ConfigurationError(ServiceError):
    """The configuration cannot be used."""

    exit_code = os.EX_CONFIG


class SectionView:
    """One section's keys as attributes, with the types of their defaults."""

    def __init__(self, configuration: "Configuration", name: str) -> None:
        self._configuration = configuration
        self._name = name

    def __getattr__(self, key: str) -> Any:
        deeper = f"{self._name}.{key}"
        if deeper in self._configuration.schema:
            return SectionView(self._configuration, deeper)
        try:
            return self._configuration.value(self._name, key)
        except KeyError:
            raise AttributeError(f"There is no configuration key {deeper}.") from None


class Configuration:
    """What the schema, the file and the overlays say together.

    :ivar path: The file that was loaded, or None when there is none.
    :ivar home: The folder that all state lives in, absolute.
    """

    def __init__(self) -> None:
        self.schema = ConfigSchema(str(files(__package__) / "schema-lazr.conf"))
        self.path: Path | None = None
        self.home = Path()
        self._config: Config
        self.load(None, use_environment=False)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not any(
            section.name.partition(".")[0] == name for section in self.schema
        ):
            raise AttributeError(f"There is no configuration section {name}.")
        return SectionView(self, name)

    def load(self, path: Path | None, *, use_environment: bool = True) -> None:
        """Forget what was loaded, and load one file.

        :param path: The file; None means the one of ``CODEIMPORT_CONFIG``, else
            ``codeimport.conf`` in the home folder if it is there, else none.
        :param use_environment: False ignores the environment and the home folder.
        :raise ConfigurationError: if the file cannot be read, is malformed, or has an
            unknown section, an unknown key, or a value of the wrong type.
        """
        self.home = Path(os.environ.get("CODEIMPORT_HOME") or "var").absolute()
        if path is None and use_environment:
            path = self._default_path()
        self.path = path.absolute() if path else None
        self._config = self.schema.loadFile(_StringFile(""), "defaults")
        if path is not None:
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
                raise ConfigurationError(
                    f"The configuration {path} cannot be read: {reason}."
                ) from error
            self.push(str(path), text)

    def _default_path(self) -> Path | None:
        """Return the file that is used when none is named, or None."""
        if named := os.environ.get("CODEIMPORT_CONFIG"):
            return Path(named)
        standard = self.home / "codeimport.conf"
        try:
            return standard if standard.exists() else None
        except OSError as error:
            raise ConfigurationError(
                f"The home folder {self.home} cannot be used: {error.strerror};"
                " name another one in CODEIMPORT_HOME."
            ) from error

    def push(self, name: str, text: str) -> None:
        """Lay an overlay over the configuration.

        :param name: The overlay's name, without slashes if `pop` is to take it away by it.
        :param text: Sections and keys, in the form of a configuration file.
        :raise ConfigurationError: as `load` does; nothing is changed then.
        """
        overlays = len(self._config.overlays)
        try:
            self._config.push(name, text)
        except (configparser.Error, LazrConfigError, OSError, ValueError) as error:
            # The parser's message quotes the line, which may hold a password.
            lines = [line for line, _ in getattr(error, "errors", [])]
            line = getattr(error, "lineno", None) or (lines[0] if lines else None)
            where = f" in line {line}" if line else ""
            raise ConfigurationError(
                f"The configuration {name} is malformed{where}:"
                " write [section] lines, and under them lines of the form key: value."
            ) from None
        try:
            self._validate(name)
        except ConfigurationError:
            # The lowest of the new ones; those above it go with it.
            self._config.pop(self._config.overlays[-overlays - 1].name)
            raise

    def pop(self, name: str) -> None:
        """Take away an overlay, and all that was pushed after it.

        :param name: What `push` was given.
        :raise lazr.config.interfaces.NoConfigError: if there is no such overlay.
        """
        self._config.pop(name)

    def value(self, section: str, key: str) -> Any:
        """Return one value.

        :param section: A section's name, such as ``vhost.mainsite``.
        :param key: One of its keys.
        :raise KeyError: if there is no such section or key.
        """
        if section not in self.schema or key not in self.schema[section]:
            raise KeyError(f"{section}.{key}")
        default, text = self.schema[section][key], self._config[section][key].strip()
        if default in BOOLEAN_WORDS:
            return as_boolean(text)
        if default.isdigit():
            return int(text)
        return "" if text.lower() == "none" and default == "" else text

    def _validate(self, name: str) -> None:
        """Raise what is wrong with the configuration as it is now."""
        try:
            self._config.validate()
        except ConfigErrors as errors:
            # That not everything is ASCII is no error here.
            found = [str(error) for error in errors.errors if not isinstance(error, UnicodeError)]
            if found:
                complaints = "; ".join(found)
                raise ConfigurationError(
                    f"The configuration {name} is wrong: {complaints}"
                ) from None
        for section in self.schema:
            for key in section:
                self._validate_type(name, section.name, key)

    def _validate_type(self, name: str, section: str, key: str) -> None:
        """Raise when a value is not of its default's type, or none of those that there are."""
        default, text = self.schema[section][key], self._config[section][key].strip()
        wanted = None
        if default in BOOLEAN_WORDS:
            try:
                as_boolean(text)
            except ValueError:
                wanted = "yes or no"
        elif default.isdigit():
            if not NUMBER.fullmatch(text):
                wanted = "a whole number, 0 or more, of at most nine digits"
            else:
                lowest, highest = RANGES.get((section, key), (0, int(text)))
                if not lowest <= int(text) <= highest:
                    wanted = f"from {lowest} to {highest}"
        elif (section, key) in CHOICES and text not in CHOICES[section, key]:
            wanted = f"one of {', '.join(CHOICES[section, key])}"
        if wanted is None:
            return
        raise ConfigurationError(
            f"The configuration {name} is wrong: {key} in [{section}] must be {wanted}."
        )


class _StringFile:
    """The little of a file that lazr.config reads."""

    def __init__(self, text: str) -> None:
        self._text = text

    def read(self) -> str:
        """Return the whole text."""
        return self._text


config = Configuration()
