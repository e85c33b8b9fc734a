"""What targets are called."""

from pathlib import PurePosixPath

from hypothesis import given
from hypothesis import strategies as st

from lp.code.errors import InvalidTargetName
from lp.code.policy.targetname import (
    MAX_LENGTH,
    MAX_SEGMENT_LENGTH,
    check_target_name,
    default_target_name,
)
from lp.testing import TestCase

# Text that is nearly a name, so that the refusals are met one by one.
nearly_names = st.text("abcZ09._+~-/ gitlock", max_size=40)
sources = st.one_of(
    st.text(max_size=60),
    st.builds("https://{}/{}".format, st.text(max_size=20), st.text(max_size=400)),
    st.builds("/{}".format, nearly_names),
    st.builds("file:///{}".format, st.text(max_size=60)),
    st.builds(":pserver:anonymous@{}:/{}/{}".format, nearly_names, nearly_names, nearly_names),
)


class TestCheckTargetName(TestCase):
    """See `check_target_name`."""

    def assert_refused(self, name, because):
        """Assert that a name is refused with a message that says why."""
        with self.subTest(name), self.assertRaisesRegex(InvalidTargetName, because):
            check_target_name(name)

    def test_check_target_name_good(self):
        # All that segments may hold, and as many segments as people like.
        for name in ("gnome/gnome-terminal", "a/b/c/d", "0/9", "A.b_c+d~e-f/x", "a/git.x", "a/b-"):
            self.assertEqual(name, check_target_name(name))

    def test_check_target_name_one_segment(self):
        # The first segment is for people to keep theirs apart.
        self.assert_refused("terminal", "two or more segments")
        self.assert_refused("", "two or more segments")

    def test_check_target_name_empty_segment(self):
        # Paths would fold empty segments away, and two names would be one folder.
        for name in ("a//b", "/a/b", "a/b/", "a/"):
            self.assert_refused(name, "segment ''")

    def test_check_target_name_first_character(self):
        # Options begin with a dash, hidden files with a dot, homes with a tilde.
        for name in ("a/-b", "a/.b", "a/~b", "_a/b", "+a/b"):
            self.assert_refused(name, "begins with a letter or a")

    def test_check_target_name_other_characters(self):
        # Whatever a shell, a URL or a file system may take for something else.
        for bad in " %:?#\\*$'\"\n\0\x7fäß٣":
            self.assert_refused(f"a/b{bad}", "segment")
            self.assert_refused(f"a/b{bad}c", "segment")

    def test_check_target_name_upwards(self):
        # No name leads out of the folder of all targets.
        self.assert_refused("a/..", "begins with")
        self.assert_refused("a/b..c", "two dots")

    def test_check_target_name_endings(self):
        # The endings are those of repositories, and of Git's own lock files.
        for name in ("a/b.git", "a.git/b", "a/b.GIT", "a/b.lock", "a.Lock/b"):
            self.assert_refused(name, r"ends in \.git or \.lock")

    def test_check_target_name_lengths(self):
        # The limits leave room for an ending, in the file systems that there are.
        longest = "x" * MAX_SEGMENT_LENGTH
        self.assertEqual(f"a/{longest}", check_target_name(f"a/{longest}"))
        self.assert_refused(f"a/{longest}x", "segment longer than 100")
        whole = "/".join([longest, longest, "x" * 53])
        self.assertEqual(MAX_LENGTH, len(check_target_name(whole)))
        self.assert_refused(whole + "x", "longer than 255")

    def test_check_target_name_message_is_short(self):
        # A message does not repeat a megabyte.
        with self.assertRaises(InvalidTargetName) as caught:
            check_target_name("a/" + "x" * 1_000_000)
        self.assertLess(len(str(caught.exception)), 400)

    @given(nearly_names | st.text(max_size=40))
    def test_check_target_name_stays_below(self, name):
        # A name that passes is a path below the folder of all targets, spelt in one way.
        try:
            check_target_name(name)
        except InvalidTargetName:
            return
        path = PurePosixPath("/targets") / name
        self.assertEqual(f"/targets/{name}", str(path))
        self.assertNotIn("..", path.parts)


class TestDefaultTargetName(TestCase):
    """See `default_target_name`."""

    def test_default_target_name_examples(self):
        # The host and the path, without port, user and ending.
        examples = {
            "https://example.org/a/b.git": "example.org/a/b",
            "https://example.org:8443/a/b": "example.org/a/b",
            "https://user@example.org/a": "example.org/a",
            "git://example.org/~joe/x": "example.org/joe/x",
            "/srv/a/b": "localhost/srv/a/b",
            "file:///srv/a/b": "localhost/srv/a/b",
            "file://localhost/srv/a/b": "localhost/srv/a/b",
            "http://[2001:db8::1]:80/a": "2001-db8--1/a",
            "https://example.org": "example.org/repository",
            "https://-/": "unnamed/repository",
            "https://example.org/a%20b": "example.org/a-b",
            "https://example.org/a..b": "example.org/a.b",
            "https://example.org/x.lock.git": "example.org/x",
            ":pserver:anonymous@cvs.example.org:/cvs/module": "cvs.example.org/cvs/module",
            ":pserver:anonymous@cvs.example.org:2401/cvs/module": "cvs.example.org/cvs/module",
        }
        for source, name in examples.items():
            with self.subTest(source):
                self.assertEqual(name, default_target_name(source))

    def test_default_target_name_of_long_path(self):
        # The ends of a long path tell most.
        source = "https://example.org/" + "/".join(["x" * 90] * 5) + "/project.git"
        name = default_target_name(source)
        self.assertTrue(name.startswith("example.org/") and name.endswith("/project"))

    def test_default_target_name_of_nothing_usable(self):
        # Even a source that leaves nothing of itself gets a name.
        for source in ("", "/", "https://-/", "https://日本/日本", ".git"):
            with self.subTest(source):
                check_target_name(default_target_name(source))

    @given(sources)
    def test_default_target_name_is_a_name(self, source):
        # Whatever the source, the name is one that can be registered.
        name = default_target_name(source)
        self.assertEqual(name, check_target_name(name))
