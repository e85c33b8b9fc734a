"""The manual's pages, each of which is a test as well."""

import unittest
from pathlib import Path

from lp.testing.layers import DocumentLayer
from lp.testing.runner import document_suite

DOCUMENTS = Path(__file__).parents[1] / "doc"


def test_suite() -> unittest.TestSuite:
    """Return a test for each page that has examples."""
    pages = [page for page in sorted(DOCUMENTS.glob("*.rst")) if ">>>" in page.read_text("utf-8")]
    return document_suite(pages, DocumentLayer)
