"""The configuration: its schema, its file, its overlays, and what it refuses."""

import os
import re
import tempfile
import unittest
from importlib.resources import files
from pathlib import Path

from lp.services.config import Configuration, ConfigurationError
from lp.testing import TestCase

SCHEMA = (files("lp.services.config") / "schema-lazr.conf").read_text()


class ConfigurationTestCase(TestCase):
    """A test with a configuration, a folder and an environment of its own."""

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = Path(folder.name)
        self.addCleanup(os.environ.update, dict(os.environ))
        self.addCleanup(os.environ.pop, "CODEIMPORT_CONFIG", None)
        os.environ["CODEIMPORT_HOME"] = str(self.home)
        self.config = Configuration()

    def write(self, text, name="some.conf"):
        """Write a configuration file, and return its path."""
        path = self.home / name
        path.write_text(text)
        return path

    def assert_refused(self, text, because):
        """Assert that a configuration is refused, for a reason that the message tells."""
        path = self.write(text)
        with self.assertRaisesRegex(ConfigurationError, because) as caught:
            self.config.load(path)
        self.assertIn(str(path), str(caught.exception))
        self.assertNotIn("\n", str(caught.exception))


class TestSchema(TestCase):
    """The schema as people read it."""

    def test_every_key_is_explained(self):
        # Each key has sentences, a unit, and a default.
        blocks = re.findall(r"((?:^#.*\n)+)^(\w+):", SCHEMA, re.MULTILINE)
        keys = re.findall(r"^(\w+):", SCHEMA, re.MULTILINE)
        self.assertEqual(keys, [key for _, key in blocks])
        for comment, key in blocks:
            with self.subTest(key):
                self.assertRegex(comment, r"\A# [A-Z](.|\n)*\.\n# unit: \S.*\n\Z")

    def test_every_default_is_valid(self):
        # The defaults pass their own checks.
        config = Configuration()
        config.push("nothing", "")

    def test_known_defaults(self):
        # The numbers are those that operators of the original know.
        config = Configuration()
        self.assertEqual(300, config.codeimportworker.maximum_heartbeat_interval)
        self.assertEqual(5, config.codeimport.consecutive_failure_limit)
        self.assertEqual(43200, config.codeimport.default_interval_cvs)
        self.assertEqual(21600, config.codeimport.default_interval_git)
        self.assertEqual(8087, config.vhost.xmlrpc_private.private_port)
        self.assertEqual("127.0.0.1", config.codeimportscheduler.host)
        self.assertIs(False, config.codeimport.allow_local_sources)
        self.assertEqual("", config.database.dsn)


class TestLoad(ConfigurationTestCase):
    """Where the configuration comes from."""

    def test_load_nothing(self):
        # Without a file, there are the defaults.
        self.config.load(None)
        self.assertIsNone(self.config.path)
        self.assertEqual(self.home, self.config.home)

    def test_load_named_file(self):
        # A file changes what it has, and nothing else.
        path = self.write("[codeimport]\nconsecutive_failure_limit: 7\n")
        self.config.load(path)
        self.assertEqual(path, self.config.path)
        self.assertEqual(7, self.config.codeimport.consecutive_failure_limit)
        self.assertEqual(21600, self.config.codeimport.default_interval_git)

    def test_load_order(self):
        # The named file wins over the environment's, and that over the home folder's.
        text = "[codeimport]\nconsecutive_failure_limit: {}\n"
        self.write(text.format(1), "codeimport.conf")
        self.config.load(None)
        self.assertEqual(1, self.config.codeimport.consecutive_failure_limit)
        os.environ["CODEIMPORT_CONFIG"] = str(self.write(text.format(2), "environment.conf"))
        self.config.load(None)
        self.assertEqual(2, self.config.codeimport.consecutive_failure_limit)
        self.config.load(self.write(text.format(3)))
        self.assertEqual(3, self.config.codeimport.consecutive_failure_limit)

    def test_load_again_forgets(self):
        # What was loaded before leaves no trace.
        self.config.load(self.write("[codeimport]\nconsecutive_failure_limit: 7\n"))
        self.config.load(None)
        self.assertEqual(5, self.config.codeimport.consecutive_failure_limit)

    def test_load_relative_home(self):
        # The home folder stays the same when the process goes elsewhere.
        os.environ["CODEIMPORT_HOME"] = "here"
        self.config.load(None)
        self.assertEqual(Path.cwd() / "here", self.config.home)

    def test_load_empty_home(self):
        # An empty variable is none.
        os.environ["CODEIMPORT_HOME"] = ""
        self.config.load(None)
        self.assertEqual(Path.cwd() / "var", self.config.home)

    def test_load_based_file(self):
        # A file may be based on another one beside it.
        self.write("[codeimport]\nconsecutive_failure_limit: 7\n", "base.conf")
        self.config.load(
            self.write("[meta]\nextends: base.conf\n[codeimport]\ndefault_interval_git: 60\n")
        )
        self.assertEqual(7, self.config.codeimport.consecutive_failure_limit)
        self.assertEqual(60, self.config.codeimport.default_interval_git)

    def test_load_utf_8(self):
        # Folders have names in all languages.
        self.config.load(self.write("# Größe\n[codehosting]\ntarget_root: /größe\n"))
        self.assertEqual("/größe", self.config.codehosting.target_root)

    def test_load_missing_file(self):
        # A file that was named must be there.
        missing = self.home / "missing.conf"
        with self.assertRaisesRegex(ConfigurationError, "missing.conf cannot be read: No such"):
            self.config.load(missing)

    def test_load_folder(self):
        # A folder is no file.
        with self.assertRaisesRegex(ConfigurationError, "cannot be read: Is a directory"):
            self.config.load(self.home)

    def test_load_other_encoding(self):
        # The file is UTF-8.
        path = self.home / "latin.conf"
        path.write_bytes("[codehosting]\ntarget_root: /ä\n".encode("latin-1"))
        with self.assertRaisesRegex(ConfigurationError, "not UTF-8"):
            self.config.load(path)


class TestRefusals(ConfigurationTestCase):
    """What a configuration cannot say."""

    def test_unknown_key(self):
        # The message names the key.
        self.assert_refused("[codeimport]\nfailure_limit: 5\n", "failure_limit")

    def test_unknown_section(self):
        # The message names the section.
        self.assert_refused("[codeimports]\nx: 5\n", "codeimports")

    def test_number_that_is_none(self):
        # A number is written in digits, and is never negative.
        for text in ("five", "-1", "1.5", "", "none", "1_000", "٣", "99999999999999999999"):
            with self.subTest(text):
                self.assert_refused(
                    f"[codeimport]\nconsecutive_failure_limit: {text}\n",
                    r"consecutive_failure_limit in \[codeimport\] must be a whole number",
                )

    def test_boolean_that_is_none(self):
        # A switch is on or off.
        self.assert_refused("[codeimport]\nallow_local_sources: maybe\n", "must be yes or no")

    def test_word_that_is_none_of_those(self):
        # What becomes of strangers is one of three words.
        self.assert_refused(
            "[codeimportscheduler]\nunknown_machines: welcome\n",
            r"must be one of online, offline, refuse\.",
        )

    def test_malformed_file(self):
        # The message has the number of the line, and not the line: it may hold a password.
        self.assert_refused("[database]\nsecret\n", r"malformed in line 2: write \[section\]")
        try:
            self.config.load(self.write("[database\ndsn: secret\n"))
        except ConfigurationError as error:
            self.assertNotIn("secret", str(error))

    def test_malformed_section(self):
        # A section that is too deep is malformed, too.
        self.assert_refused("[vhost.mainsite.deeper]\nhostname: x\n", "malformed")

    def test_numbers_out_of_range(self):
        # The range is named.
        for section, line, wanted in (
            ("vhost.xmlrpc_private", "private_port: 99999", "from 0 to 65535"),
            ("codeimportscheduler", "workers: 0", "from 1 to 64"),
            ("codeimport", "consecutive_failure_limit: 0", "from 1 to 1000"),
        ):
            self.assert_refused(f"[{section}]\n{line}\n", wanted)

    def test_missing_base(self):
        # A file may be based on another, which must be there.
        self.assert_refused("[meta]\nextends: missing.conf\n", "malformed")


class TestValues(ConfigurationTestCase):
    """How values are read."""

    def test_booleans(self):
        # The usual words for yes and no are understood.
        for word, value in {
            "yes": True,
            "true": True,
            "On": True,
            "0": False,
            "no": False,
        }.items():
            self.config.push("word", f"[codeimport]\nallow_local_sources: {word}\n")
            self.assertIs(value, self.config.codeimport.allow_local_sources)
            self.config.pop("word")

    def test_text_that_looks_like_a_number(self):
        # Text stays text, digit for digit.
        key = "0123456789012345"
        self.config.push("key", f"[launchpad]\ninternal_macaroon_secret_key: {key}\n")
        self.assertEqual(key, self.config.launchpad.internal_macaroon_secret_key)

    def test_text_none(self):
        # Where nothing is the default, "none" is nothing.
        self.config.push("none", "[database]\ndsn: none\n")
        self.assertEqual("", self.config.database.dsn)

    def test_percent_signs(self):
        # A percent sign is one, as URLs and passwords need it.
        self.config.push("dsn", "[database]\ndsn: postgresql://u:p%20w@h/d\n")
        self.assertEqual("postgresql://u:p%20w@h/d", self.config.database.dsn)

    def test_unknown_names(self):
        # A programmer's slip is found at once.
        for name in ("nothing", "codeimport.nothing", "vhost.nothing", "vhost.mainsite.nothing"):
            value = self.config
            with self.subTest(name), self.assertRaisesRegex(AttributeError, "no configuration"):
                for part in name.split("."):
                    value = getattr(value, part)

    def test_value_by_name(self):
        # Tools that list values ask by name.
        self.assertEqual(8087, self.config.value("vhost.xmlrpc_private", "private_port"))
        with self.assertRaises(KeyError):
            self.config.value("vhost.xmlrpc_private", "nothing")


class TestOverlays(ConfigurationTestCase):
    """What tests and programs lay over the configuration."""

    def test_push_and_pop(self):
        # An overlay holds until it is taken away.
        self.config.push("more", "[codeimport]\nconsecutive_failure_limit: 9\n")
        self.assertEqual(9, self.config.codeimport.consecutive_failure_limit)
        self.config.pop("more")
        self.assertEqual(5, self.config.codeimport.consecutive_failure_limit)

    def test_push_keeps_what_it_does_not_name(self):
        # Overlays lie upon each other.
        self.config.push("one", "[codeimport]\nconsecutive_failure_limit: 9\n")
        self.config.push("two", "[codeimport]\ndefault_interval_git: 60\n")
        self.assertEqual(9, self.config.codeimport.consecutive_failure_limit)

    def test_push_refused_changes_nothing(self):
        # A bad overlay is not laid at all.
        good = "[codeimport]\nconsecutive_failure_limit: 9\n"
        for bad in ("x: 1", "allow_local_sources: x", "[x"):
            for name in ("bad", "/a/folder/bad.conf"):
                with self.subTest(bad), self.assertRaises(ConfigurationError):
                    self.config.push(name, f"{good}{bad}\n")
        self.assertEqual(5, self.config.codeimport.consecutive_failure_limit)


@unittest.skipUnless(os.geteuid() == 0, "Only root can act as another user.")
class TestClosedHome(ConfigurationTestCase):
    """A home inside a folder that an unprivileged user cannot enter."""

    def test_home_in_closed_folder(self):
        # One sentence that names the home and the variable, and no traceback.
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        former = os.environ.get("CODEIMPORT_HOME")
        self.addCleanup(self.restore_home, former)
        os.environ["CODEIMPORT_HOME"] = f"{folder.name}/home"
        os.seteuid(65534)
        self.addCleanup(os.seteuid, 0)
        with self.assertRaises(ConfigurationError) as caught:
            self.config.load(None)
        self.assertIn(f"{folder.name}/home cannot be used", str(caught.exception))
        self.assertIn("CODEIMPORT_HOME", str(caught.exception))

    def restore_home(self, former):
        if former is None:
            del os.environ["CODEIMPORT_HOME"]
        else:
            os.environ["CODEIMPORT_HOME"] = former
