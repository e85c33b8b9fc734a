"""Which sources may be imported, and how they are written."""

from hypothesis import given
from hypothesis import strategies as st

from lp.code.enums import NON_CVS_RCS_TYPES, RevisionControlSystems
from lp.code.errors import (
    CodeImportError,
    ForbiddenSource,
    InvalidSource,
    UnsupportedSourceType,
)
from lp.code.policy.source import MAX_LENGTH, SCHEMES, Source, check_source, is_local_host
from lp.testing import TestCase

CVS = RevisionControlSystems.CVS
GIT = RevisionControlSystems.GIT
HG = RevisionControlSystems.HG
SVN = RevisionControlSystems.SVN

ROOT = ":pserver:anonymous@cvs.example.org:/cvs"

LOCAL_HOSTS = (
    "localhost",
    "LOCALHOST.",
    "db.localhost",
    "printer.local",
    "metadata.google.internal",
    "127.0.0.1",
    "127.1",
    "0x7f000001",
    "0x7f.1",
    "017700000001",
    "2130706433",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "224.0.0.1",
    "255.255.255.255",
    "[::1]",
    "::1",
    "[::]",
    "[fe80::1]",
    "fe80::1%eth0",
    "[fd00::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:10.0.0.1]",
    "[64:ff9b::10.0.0.1]",
    "[2002:7f00:1::]",
    "[2001:db8::1]",
    "[ff02::1]",
)
PUBLIC_HOSTS = (
    "example.org",
    "EXAMPLE.ORG.",
    "localhost.example.org",
    "internal.example.org",
    "intranet",
    "8.8.8.8",
    "[2606:4700::1111]",
    "[::ffff:8.8.8.8]",
    "[64:ff9b::8.8.8.8]",
    "[2002:808:808::]",
    "",
)


def check(rcs_type=GIT, url=None, cvs_root=None, cvs_module=None, **rules):
    """Check a source, by the strictest rules that are not given."""
    rules.setdefault("allow_local", False)
    return check_source(rcs_type, url, cvs_root, cvs_module, **rules)


class SourceTestCase(TestCase):
    """A test of what is refused."""

    def assert_refused(self, error, because, *args, **kwargs):
        """Assert that a source is refused, for a reason that the message tells."""
        with self.subTest(args), self.assertRaisesRegex(error, because) as caught:
            check(*args, **kwargs)
        self.assertNotIn("secret", str(caught.exception))


class TestURLs(SourceTestCase):
    """Sources that are known by a URL."""

    def test_check_source_normal_form(self):
        # One source has one spelling, so that it is found again.
        for url in (
            "https://example.org/a/b",
            "HTTPS://Example.ORG/a/b",
            "https://example.org:443/a/b/",
            "https://example.org/a/b//",
            "https://example.org/x/../a/./b",
            "https://example.org/a/x/%2e%2e/b",
            "https://example.org/%61/b",
        ):
            with self.subTest(url):
                self.assertEqual(Source(url="https://example.org/a/b"), check(url=url))

    def test_check_source_keeps_what_differs(self):
        # The case of a path, another port and another scheme are other sources.
        for url in ("https://example.org/A", "https://example.org:8443/a", "git://example.org/a"):
            self.assertEqual(url, check(url=url).url)

    def test_check_source_schemes(self):
        # Each type has its schemes, and no others.
        for rcs_type, schemes in SCHEMES.items():
            for scheme in ("http", "https", "git", "svn", "bzr", "ftp", "rsync", "javascript"):
                url = f"{scheme}://example.org/a"
                if scheme in schemes:
                    self.assertEqual(url, check(rcs_type, url).url)
                else:
                    self.assert_refused(ForbiddenSource, "cannot have the scheme", rcs_type, url)

    def test_check_source_every_url_type_has_schemes(self):
        # No type that is known by a URL is forgotten.
        self.assertEqual(set(NON_CVS_RCS_TYPES), set(SCHEMES))

    def test_check_source_ssh(self):
        # What needs a key is refused in all its spellings.
        for url in (
            "ssh://example.org/a",
            "SSH://example.org/a",
            "git+ssh://example.org/a",
            "svn+ssh://example.org/a",
            "git@example.org:a.git",
            "example.org:a.git",
        ):
            self.assert_refused(ForbiddenSource, "use (a URL of another scheme|one of)", GIT, url)

    def test_check_source_credentials(self):
        # Credentials are refused, and not repeated.
        for url in (
            "https://joe:secret@example.org/a",
            "https://secret@example.org/a",
            "https://:secret@example.org/a",
            "https://@example.org/a",
            "https://joe:secret@127.0.0.1/a",
            "HTTP://JOE:secret@example.org/a",
        ):
            self.assert_refused(ForbiddenSource, "leave them out", GIT, url)

    def test_check_source_credentials_in_malformed_url(self):
        # A URL that cannot be read may hold a password all the same.
        for url in (
            "https://joe:secret@exa%zzmple.org/a",
            "https://joe:secret@/a",
            "https://secret",
        ):
            try:
                check(url=url + "\\")
            except CodeImportError as error:
                self.assertNotIn("secret", str(error))

    def test_check_source_programs(self):
        # Nothing that Git would take for a command is a source.
        for url in ("ext::sh", "ext::sh,-c,x", "fd::17", "--upload-pack=x", "-a", "http::x"):
            with self.subTest(url), self.assertRaises((ForbiddenSource, InvalidSource)):
                check(url=url, allow_local=True)

    def test_check_source_malformed(self):
        # Each is refused by one sentence.
        for url in (
            "example.org/a",
            "a",
            "https://",
            "https:///a",
            "https://exämple.org/a",
            "https://-option/a",
            "https://*/a",
            "https://a,b/a",
            "https://[v1.x]/a",
            "https://example.org\\@127.0.0.1/a",
            "https://example.org/%zz",
            "https://example.org:port/a",
        ):
            self.assert_refused(InvalidSource, r"\.$", GIT, url)

    def test_check_source_query_and_fragment(self):
        # No repository is named by them, and they would hide a second spelling.
        for url in (
            "https://example.org/a?x=1",
            "https://example.org/a#x",
            "https://example.org?",
        ):
            self.assert_refused(InvalidSource, "no query", GIT, url)

    def test_check_source_unseen_characters(self):
        # Spaces, control characters and half characters are never in a source.
        for bad in " \0\n\r\t\x1b\x7f\x85\u2028\u202e\ud800":
            self.assert_refused(
                InvalidSource, "a space or a control", GIT, f"https://example.org/a{bad}b"
            )

    def test_check_source_length(self):
        # The limit is one that every program on the way can bear.
        longest = "https://example.org/".ljust(MAX_LENGTH, "x")
        self.assertEqual(longest, check(url=longest).url)
        self.assert_refused(InvalidSource, "longer than 2000", GIT, longest + "x")

    def test_check_source_without_url(self):
        # A URL is needed, and nothing else.
        self.assert_refused(InvalidSource, "needs a URL", GIT, None)
        self.assert_refused(InvalidSource, "needs a URL", GIT, "")
        self.assert_refused(InvalidSource, "nothing of CVS", GIT, "https://example.org/a", ROOT)

    def test_check_source_unknown_type(self):
        # What is no type of source is refused by name.
        for rcs_type in (None, "git"):
            self.assert_refused(
                UnsupportedSourceType, "cannot be imported", rcs_type, "https://x/a"
            )


class TestLocalSources(SourceTestCase):
    """Sources on this machine and in private networks."""

    def test_check_source_local_host(self):
        # Nothing but the configuration opens private networks.
        for host in ("localhost", "10.0.0.1", "[::1]", "127.1", "%31%32%37.0.0.1"):
            url = f"http://{host}/a"
            self.assert_refused(ForbiddenSource, "--allow-local", GIT, url)
            self.assertTrue(check(url=url, allow_local=True).url)

    def test_check_source_paths(self):
        # Paths and file: URLs have a normal form, too.
        for spelling, normal in {
            "/srv/a": "/srv/a",
            "/srv//a/": "/srv/a",
            "//srv/./a": "/srv/a",
            "file:///srv/a/": "file:///srv/a",
            "file://localhost/srv/a": "file:///srv/a",
        }.items():
            self.assert_refused(ForbiddenSource, "--allow-local", GIT, spelling)
            self.assertEqual(normal, check(url=spelling, allow_local=True).url)

    def test_check_source_path_upwards(self):
        # A path says where it leads.
        self.assert_refused(InvalidSource, "upwards", GIT, "/srv/../etc", allow_local=True)

    def test_check_source_file_url_of_another_host(self):
        # A file: URL means this machine.
        for url in ("file://example.org/a", "file:a", "file:/srv/a"):
            self.assert_refused(InvalidSource, "has the form", GIT, url, allow_local=True)

    def test_check_source_resolved_address(self):
        # A public name for a private address is found out, if one of its addresses is private.
        url = "https://example.org/a"
        self.assertEqual(url, check(url=url, addresses=["8.8.8.8"]).url)
        self.assert_refused(
            ForbiddenSource, "private network", GIT, url, addresses=["8.8.8.8", "127.0.0.1"]
        )

    def test_is_local_host(self):
        # Every spelling that a resolver takes for a private address is one.
        self.assertEqual([], [host for host in LOCAL_HOSTS if not is_local_host(host)])

    def test_is_local_host_of_public_host(self):
        # Names that only look like local ones are public.
        self.assertEqual([], [host for host in PUBLIC_HOSTS if is_local_host(host)])

    @given(st.text(st.characters(exclude_categories=())) | st.ip_addresses().map(str))
    def test_is_local_host_is_total(self, host):
        # Whatever the text, there is an answer.
        self.assertIsInstance(is_local_host(host), bool)


class TestRefusedHosts(SourceTestCase):
    """Hosts from which nothing is imported."""

    def test_check_source_refused_host(self):
        # Neither from the host itself nor from below it, in whatever case.
        for host in ("bad.example", "BAD.example", "git.bad.example", "bad.example."):
            self.assert_refused(
                ForbiddenSource,
                "from bad.example",
                GIT,
                f"https://{host}/a",
                refused_hosts=["", "bad.example"],
            )

    def test_check_source_host_that_looks_refused(self):
        # A name that ends in the same letters is another host.
        url = "https://notbad.example/a"
        self.assertEqual(url, check(url=url, refused_hosts=["bad.example"]).url)

    def test_check_source_refused_cvs_host(self):
        # The rule holds for CVS, too.
        self.assert_refused(
            ForbiddenSource, "example.org", CVS, None, ROOT, "m", refused_hosts=["example.org"]
        )


class TestCVS(SourceTestCase):
    """Sources that are known by a root and a module."""

    def test_check_source_cvs(self):
        # Root and module come back.
        for root in (ROOT, ":pserver:anonymous@cvs.example.org:2401/cvs", ":pserver:h.org:/cvs"):
            found = check(CVS, None, root, "module")
            self.assertEqual(Source(cvs_root=root, cvs_module="module"), found)

    def test_check_source_cvs_incomplete(self):
        # Both are needed, and no URL.
        for values in ((None, ROOT, None), (None, None, "m"), (None, "", "m"), (None, ROOT, "")):
            self.assert_refused(InvalidSource, "root and a module", CVS, *values)
        self.assert_refused(InvalidSource, "has no URL", CVS, "https://x.org/", ROOT, "m")

    def test_check_source_cvs_password(self):
        # A root must not hold a password, and the message does not repeat it.
        root = ":pserver:joe:secret@cvs.example.org:/cvs"
        self.assert_refused(ForbiddenSource, "password", CVS, None, root, "m")

    def test_check_source_cvs_methods(self):
        # Only the method that needs neither a key nor a program is allowed.
        for method in ("ext", "gserver", "fork", "server"):
            root = f":{method}:joe@cvs.example.org:/cvs"
            self.assert_refused(ForbiddenSource, "method pserver", CVS, None, root, "m")

    def test_check_source_cvs_local(self):
        # Roots on this machine are local sources.
        for root in ("/cvs", ":local:/cvs", ":pserver:joe@127.1:/cvs", ":pserver:joe@[::1]:/c"):
            with self.subTest(root), self.assertRaises((ForbiddenSource, InvalidSource)):
                check(CVS, None, root, "m")

    def test_check_source_cvs_malformed(self):
        # What CVS would take for an option or for another host is refused.
        for root in ("x", "h.org:/c", ":pserver:", ":pserver:joe@:/cvs", ":pserver:joe@-x:/cvs"):
            self.assert_refused(InvalidSource, r"\.$", CVS, None, root, "m")

    def test_check_source_cvs_module(self):
        # A module's name is one that CVS cannot take for anything else.
        for module in ("m", "a/b", "A_b.c+d-e9"):
            self.assertEqual(module, check(CVS, None, ROOT, module).cvs_module)
        for module in ("CVS", "-m", "9m", "a:b", "a\\b", "ä", ".."):
            self.assert_refused(InvalidSource, "module's name", CVS, None, ROOT, module)


text = st.text(st.characters(exclude_categories=()), max_size=30)
urls = st.one_of(
    text,
    st.builds("https://{}".format, text),
    st.builds("https://example.org/{}".format, st.text("aA./%2e5~-_", max_size=20)),
    st.builds("http://{}:{}/{}".format, st.text("aA.-_[]:1", max_size=9), st.integers(), text),
    st.builds("/{}".format, st.text("a./", max_size=12)),
)
roots = st.one_of(text, st.builds(":pserver:{}@{}:{}/{}".format, text, text, text, text))


class TestAnySource(TestCase):
    """What holds for every source."""

    @given(st.sampled_from(list(SCHEMES)), urls, st.booleans())
    def test_check_source_url_is_stable(self, rcs_type, url, allow_local):
        # A URL is refused by name, or has a normal form, which is its own normal form.
        try:
            source = check(rcs_type, url, allow_local=allow_local)
        except CodeImportError:
            return
        self.assertEqual(source, check(rcs_type, source.url, allow_local=allow_local))

    @given(roots, text)
    def test_check_source_cvs_is_stable(self, root, module):
        # The same for CVS.
        try:
            source = check(CVS, None, root, module)
        except CodeImportError:
            return
        self.assertEqual(source, check(CVS, None, source.cvs_root, source.cvs_module))
