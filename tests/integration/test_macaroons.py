"""The tokens of jobs, and the key that signs them."""

import stat
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from pymacaroons import MACAROON_V1, MACAROON_V2, Caveat, Macaroon
from zope.component import getUtility

from lp.code.enums import CodeImportResultStatus
from lp.services.config import config
from lp.services.macaroons.interfaces import BadMacaroonContext, IMacaroonIssuer
from lp.services.macaroons.key import MacaroonKeyUnusable, macaroon_key
from lp.testing import TestCase
from tests.integration.domain import DomainTestCase

KEY = "sixteen letters!"


class TestIssuer(DomainTestCase):
    """See `IMacaroonIssuer`, for jobs."""

    def setUp(self):
        super().setUp()
        self.issuer = getUtility(IMacaroonIssuer, "code-import-job")
        self.push_config("launchpad", internal_macaroon_secret_key=KEY)
        self.push_config("vhost.mainsite", hostname="main.example")

    def make(self, caveat, **parts):
        """Make a macaroon as somebody who may know the key would."""
        parts.setdefault("location", "main.example")
        parts.setdefault("identifier", "code-import-job")
        parts.setdefault("key", KEY)
        macaroon = Macaroon(**parts)
        for text in [caveat] if isinstance(caveat, str) else caveat:
            macaroon.add_first_party_caveat(text)
        return macaroon

    def assert_good(self, macaroon, context, **options):
        """Assert that a macaroon is good for a context."""
        errors = []
        verified = self.issuer.verifyMacaroon(macaroon, context, errors=errors, **options)
        self.assertEqual([], errors)
        self.assertEqual("code-import-job", verified.issuer_name)

    def assert_bad(self, because, macaroon, context, **options):
        """Assert that a macaroon is refused, for one reason."""
        errors = []
        verified = self.issuer.verifyMacaroon(macaroon, context, errors=errors, **options)
        self.assertIsNone(verified)
        self.assertRegex("|".join(errors), because)
        self.assertEqual(1, len(errors))
        self.assertIsNone(self.issuer.verifyMacaroon(macaroon, context, **options))

    def test_issueMacaroon(self):
        # The form is the original's.
        job = self.factory.makePendingJob()
        macaroon = self.issuer.issueMacaroon(job)
        self.assertEqual("main.example", macaroon.location)
        self.assertEqual("code-import-job", macaroon.identifier)
        caveats = [caveat.caveat_id for caveat in macaroon.caveats]
        self.assertEqual([f"lp.code-import-job {job.id}"], caveats)

    def test_issueMacaroon_of_other_things(self):
        # Nothing but a job has one.
        for context in (None, "job", 1, self.factory.makeCodeImport()):
            with self.assertRaises(BadMacaroonContext) as caught:
                self.issuer.issueMacaroon(context)
            self.assertIs(context, caught.exception.context)

    def test_verifyMacaroon(self):
        # A macaroon that was sent and came back is good for its job, and for the target.
        job = self.factory.makeRunningJob()
        macaroon = Macaroon.deserialize(self.issuer.issueMacaroon(job).serialize())
        self.assert_good(macaroon, job)
        self.assert_good(macaroon, job.code_import.target)

    def test_verifyMacaroon_without_context(self):
        # Who does not know the job yet may ask whether it is a macaroon at all.
        macaroon = self.issuer.issueMacaroon(self.factory.makeRunningJob())
        self.assert_bad("no job to hold", macaroon, None)
        self.assert_good(macaroon, None, require_context=False)
        self.assert_bad(
            "signature",
            self.make("lp.code-import-job 1", key="?" * 16),
            None,
            require_context=False,
        )

    def test_verifyMacaroon_pending(self):
        # The job must run.
        job = self.factory.makePendingJob()
        self.assert_bad("is not running", self.issuer.issueMacaroon(job), job)

    def test_verifyMacaroon_dies_with_job(self):
        # Neither the finished job nor its successor is served.
        job = self.factory.makeRunningJob()
        code_import, macaroon = job.code_import, self.issuer.issueMacaroon(job)
        self.workflow.finishJob(job, CodeImportResultStatus.SUCCESS, None)
        self.assert_bad("is not running", macaroon, code_import.target)
        successor = self.factory.makeRunningJob(code_import)
        self.assert_bad("for another job", macaroon, successor)
        self.assert_bad("for another job", macaroon, code_import.target)

    def test_verifyMacaroon_deleted_import(self):
        # A target without an import is written by nobody.
        job = self.factory.makeRunningJob()
        target, macaroon = job.code_import.target, self.issuer.issueMacaroon(job)
        self.imports.delete(job.code_import)
        self.assert_bad("target has no job", macaroon, target)

    def test_verifyMacaroon_other_job(self):
        # One job's token is no good for another's target.
        job, other = self.factory.makeRunningJob(), self.factory.makeRunningJob()
        self.assert_bad("for another job", self.issuer.issueMacaroon(job), other)

    def test_verifyMacaroon_other_context(self):
        # Only jobs and targets can be asked about.
        macaroon = self.issuer.issueMacaroon(self.factory.makeRunningJob())
        for context in ("job", 1, self.factory.makeCodeImport()):
            self.assert_bad("for jobs and their targets", macaroon, context)

    def test_verifyMacaroon_forged(self):
        # Whatever is not exactly what was issued is refused, for a reason.
        job = self.factory.makeRunningJob()
        caveat = f"lp.code-import-job {job.id}"
        for because, macaroon in (
            ("issued elsewhere", self.make(caveat, location="other.example")),
            ("another purpose", self.make(caveat, identifier="something-else")),
            ("signature is wrong", self.make(caveat, key="another 16 chars")),
            ("cannot be parsed", self.make("lp.code-import-job")),
            ("is unknown", self.make([caveat, "lp.expires 2099"])),
            ("has 0 caveats", self.make([])),
            ("has 2 caveats", self.make([caveat, caveat])),
            ("for another job", self.make(f"lp.code-import-job 0{job.id}")),
        ):
            self.assert_bad(because, macaroon, job)

    def test_verifyMacaroon_narrowed(self):
        # A caveat that its bearer has added does not widen it.
        job = self.factory.makeRunningJob()
        macaroon = self.issuer.issueMacaroon(job)
        macaroon.add_first_party_caveat("lp.code-import-job 4711")
        self.assert_bad("for another job", macaroon, job)

    def test_verifyMacaroon_new_key(self):
        # A key that was changed ends all tokens.
        job = self.factory.makeRunningJob()
        macaroon = self.issuer.issueMacaroon(job)
        self.push_config("launchpad", internal_macaroon_secret_key="a wholly new key")
        self.assert_bad("signature", macaroon, job)

    @given(st.binary(max_size=20), st.sampled_from([MACAROON_V1, MACAROON_V2]))
    def test_verifyMacaroon_binary_caveats(self, caveat, version):
        # A caveat of any bytes is refused, and no error.
        macaroon = self.make([], version=version)
        macaroon.caveats.append(Caveat(caveat, version=version))
        self.assertIsNone(self.issuer.verifyMacaroon(macaroon, None, require_context=False))

    def test_verifyMacaroon_version_2(self):
        # The newer format says the same.
        job = self.factory.makeRunningJob()
        macaroon = self.make(f"lp.code-import-job {job.id}", version=MACAROON_V2)
        self.assert_good(Macaroon.deserialize(macaroon.serialize()), job)


class TestKey(TestCase):
    """See `macaroon_key`."""

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(setattr, config, "home", config.home)
        config.home = Path(folder.name) / "home"
        self.path = config.home / "macaroon.key"

    def assert_unusable(self, because):
        """Assert that the key is refused, for a reason that does not repeat it."""
        with self.assertRaisesRegex(MacaroonKeyUnusable, because) as caught:
            macaroon_key()
        self.assertNotIn("secret", str(caught.exception).replace(str(self.path), ""))

    def test_macaroon_key_is_made(self):
        # The first use makes a key that nobody else can read, and the next ones find it.
        key = macaroon_key()
        self.assertGreaterEqual(len(key), 64)
        self.assertEqual(0o600, stat.S_IMODE(self.path.stat().st_mode))
        self.assertEqual([self.path], list(config.home.iterdir()))
        self.assertEqual(key, macaroon_key())

    def test_macaroon_key_differs(self):
        # Each home has its own.
        key = macaroon_key()
        self.path.unlink()
        self.assertNotEqual(key, macaroon_key())

    def test_macaroon_key_configured(self):
        # A configured key is used as it is, and no file made.
        self.push_config("launchpad", internal_macaroon_secret_key="0000000000000123")
        self.assertEqual("0000000000000123", macaroon_key())
        self.assertFalse(self.path.exists())

    def test_macaroon_key_too_short(self):
        # A key that can be guessed is refused, wherever it comes from.
        self.push_config("launchpad", internal_macaroon_secret_key="secret")
        self.assert_unusable("has 6 characters; it must have at least 16")

    def test_macaroon_key_file_too_short(self):
        # As is the file of a home that lost its contents.
        macaroon_key()
        self.path.write_text("")
        self.assert_unusable("has 0 characters")

    def test_macaroon_key_readable_by_others(self):
        # A key that others can read is none; the message says what to do.
        macaroon_key()
        for mode in (0o640, 0o604, 0o620):
            self.path.chmod(mode)
            self.assert_unusable(f"chmod 600 {self.path}")

    def test_macaroon_key_no_text(self):
        # A file of something else is not taken for a key.
        macaroon_key()
        self.path.write_bytes(b"\xff" * 50)
        self.assert_unusable("it is no text")

    def test_macaroon_key_folder(self):
        # Nor is a folder.
        self.path.mkdir(parents=True, mode=0o700)
        self.assert_unusable("Is a directory")

    def test_macaroon_key_home_is_a_file(self):
        # A home that cannot be one is said to be so.
        config.home.write_text("secret")
        self.assert_unusable("cannot be used")
