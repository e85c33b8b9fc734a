"""What tests and documents are made with."""

__all__ = ["TestCase", "TestCaseWithFactory", "verifyObject"]

import unittest
from typing import Any

from zope.interface.verify import verifyObject

from lp.services.config import config
from lp.testing.factory import ObjectFactory
from lp.testing.layers import ComponentLayer, DatabaseLayer


class TestCase(unittest.TestCase):
    """A test that needs the components, and no database."""

    layer: Any = ComponentLayer
    maxDiff = None

    def push_config(self, section: str, **values: object) -> None:
        """Change configuration values until the test is over.

        :param section: The section's name.
        :param values: The new values by key.
        """
        name = f"{self.id()}-{section}-{'-'.join(values)}"
        lines = [f"[{section}]", *(f"{key}: {value}" for key, value in values.items())]
        config.push(name, "\n".join(lines) + "\n")
        self.addCleanup(config.pop, name)


class TestCaseWithFactory(TestCase):
    """A test on a database that is empty at its start."""

    layer = DatabaseLayer

    def setUp(self) -> None:
        """Give the test its factory."""
        super().setUp()
        self.factory = ObjectFactory()
