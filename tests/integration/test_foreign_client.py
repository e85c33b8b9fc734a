"""A client in another language than ours."""

import shutil
import subprocess
import unittest
from pathlib import Path

import transaction
from zope.component import getUtility

from lp.code.enums import CodeImportResultStatus
from lp.code.interfaces.codeimport import ICodeImportSet
from lp.testing import TestCaseWithFactory
from lp.testing.layers import ServerLayer

CLIENT = Path(__file__).parent / "foreign_client.pl"


def has_client() -> bool:
    """Say whether Perl and its XML-RPC library are here."""
    perl = shutil.which("perl")
    probe = ["perl", "-MRPC::XML::Client", "-e", "1"]
    return bool(perl) and subprocess.run(probe, check=False, capture_output=True).returncode == 0


@unittest.skipUnless(has_client(), "Perl's RPC::XML is missing: apt-get install librpc-xml-perl")
class TestForeignClient(TestCaseWithFactory):
    """Perl against a real server."""

    layer = ServerLayer

    def run_client(self):
        return subprocess.run(
            ["perl", CLIENT, ServerLayer.url, "camel"],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def test_run(self):
        # Claimed, told, alive, finished; and once more, too late.
        code_import = self.factory.makeCodeImport(url="https://git.example.org/engine")
        transaction.commit()
        client = self.run_client()
        self.assertEqual("", client.stderr)
        self.assertEqual(
            "job 1\nsource https://git.example.org/engine\nheartbeat 0\nfinished\nlate 360\n",
            client.stdout,
        )
        transaction.begin()
        code_import = getUtility(ICodeImportSet).get(code_import.id)
        result = code_import.results.first()
        self.assertEqual(CodeImportResultStatus.SUCCESS, result.status)
        self.assertEqual(b"cloned\n", result.log_file.read())
        self.assertEqual("Gr\xfc\xdfe aus Perl", result.log_excerpt)
        self.assertEqual("camel", result.machine.hostname)

    def test_nothing_to_do(self):
        # 0 is a number in every language.
        self.assertEqual("job 0\n", self.run_client().stdout)
