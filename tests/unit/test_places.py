"""Where a home's server keeps its socket."""

import os
import tempfile
import unittest
from pathlib import Path

from lp.services.database.errors import HomeUnusable
from lp.services.database.places import (
    LONGEST_SOCKET_PATH,
    Places,
    is_fit_for_socket,
    make_private_folder,
)


class TestPlaces(unittest.TestCase):
    """Paths; nothing is made for them."""

    def test_socket_is_in_home_if_it_fits(self):
        # The longest path that fits is one byte shorter than the first that does not.
        spare = LONGEST_SOCKET_PATH - len("/h/postgresql/socket/.s.PGSQL.5432")
        fitting = Places(Path("/h" + "x" * spare))
        self.assertEqual(fitting.folder / "socket", fitting.socket_folder)
        longer = Places(Path("/h" + "x" * (spare + 1)))
        self.assertNotIn(longer.home, longer.socket_folder.parents)

    def test_bytes_are_counted_not_letters(self):
        # A letter of another alphabet takes two or more.
        self.assertTrue(is_fit_for_socket(Path("/" + "x" * 60)))
        self.assertFalse(is_fit_for_socket(Path("/" + "ж" * 60)))

    def test_characters_that_mean_something_else(self):
        # libpq would see two hosts, and messages would be torn.
        for name in ("a,b", "a\nb", "a\x7fb", os.fsdecode(b"a\xffb")):
            with self.subTest(name=name):
                self.assertFalse(is_fit_for_socket(Path("/") / name))

    def test_short_folder_is_of_home_and_user(self):
        # Two homes never share one, and the same home always has the same.
        one, two = (Places(Path("/" + letter * 120)).socket_folder for letter in "xy")
        self.assertNotEqual(one, two)
        self.assertEqual(one, Places(Path("/" + "x" * 120)).socket_folder)
        self.assertTrue(one.name.endswith(f"-{os.geteuid()}"))


class TestMakePrivateFolder(unittest.TestCase):
    """Folders that nobody else may enter."""

    def setUp(self):
        super().setUp()
        temporary = tempfile.TemporaryDirectory(dir="/tmp")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name) / "private"

    def test_new_folder_is_private(self):
        # Whatever the process's mask of permissions is.
        old = os.umask(0)
        self.addCleanup(os.umask, old)
        make_private_folder(self.folder)
        self.assertEqual(0o40700, self.folder.stat().st_mode)

    def test_existing_private_folder_is_kept(self):
        # The second start finds what the first one made.
        make_private_folder(self.folder)
        self.assertIsNone(make_private_folder(self.folder))

    def test_open_folder_is_refused(self):
        # Somebody may have put something there; it is for the owner to decide.
        self.folder.mkdir()
        self.folder.chmod(0o750)
        with self.assertRaisesRegex(HomeUnusable, "is open to other users"):
            make_private_folder(self.folder)

    def test_link_is_refused(self):
        # Not even one to a private folder of our own: others could turn it.
        target = self.folder.with_name("target")
        make_private_folder(target)
        self.folder.symlink_to(target)
        with self.assertRaisesRegex(HomeUnusable, "is not a folder"):
            make_private_folder(self.folder)
