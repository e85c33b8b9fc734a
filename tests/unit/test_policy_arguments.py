"""What callers may pass."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from lp.code.errors import (
    InvalidArgument,
    InvalidHostname,
    InvalidWorkerLimit,
    NoSuchCodeImportJob,
)
from lp.code.policy.arguments import (
    MAX_HOSTNAME_LENGTH,
    MAX_ID,
    MAX_WORKER_LIMIT,
    check_hostname,
    check_job_id,
    check_text,
    check_worker_limit,
)
from lp.services.text import storable_text
from lp.testing import TestCase

# What XML-RPC can carry, and what a caller in the same process can pass besides.
anything = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(st.text(), st.integers(), max_size=2)
    | st.builds(object)
)


class TestCheckHostname(TestCase):
    """See `check_hostname`."""

    def test_check_hostname_text(self):
        # A hostname comes back as it is, its case included.
        self.assertEqual("Bazaar-importer", check_hostname("Bazaar-importer"))

    def test_check_hostname_bytes(self):
        # Callers in the same process may pass UTF-8.
        self.assertEqual("böx", check_hostname("böx".encode()))

    def test_check_hostname_longest(self):
        # The longest name is that of the domain name system.
        longest = "x" * MAX_HOSTNAME_LENGTH
        self.assertEqual(longest, check_hostname(longest))
        with self.assertRaisesRegex(InvalidHostname, "has 254 characters"):
            check_hostname(longest + "x")

    def test_check_hostname_message_has_bounds(self):
        # Ten thousand characters are counted, not repeated.
        with self.assertRaises(InvalidHostname) as caught:
            check_hostname("x" * 10_000)
        self.assertEqual(
            "The hostname has 10000 characters; it must have 1 to 253.", str(caught.exception)
        )

    def test_check_hostname_refused_characters(self):
        # Spaces, slashes and whatever cannot be seen would confuse people, logs and paths.
        for bad in ("", " ", "a b", "a\0b", "a\n", "\x7f", "a\x85", "a/b", "\u200b", "\ud800"):
            with self.subTest(repr(bad)), self.assertRaises(InvalidHostname):
                check_hostname(bad)

    def test_check_hostname_says_what_it_was_given(self):
        # The message names the type in the words of XML-RPC.
        for value, kind in ((None, "nil"), (3, "a number"), (True, "a boolean"), ([], "an array")):
            with self.assertRaisesRegex(InvalidHostname, f"must be text, not {kind}"):
                check_hostname(value)

    @given(anything)
    def test_check_hostname_is_total(self, value):
        # Whatever it is given, it answers with storable text, or refuses by name.
        try:
            hostname = check_hostname(value)
        except InvalidHostname:
            return
        self.assertEqual(hostname, storable_text(hostname))
        self.assertTrue(0 < len(hostname) <= MAX_HOSTNAME_LENGTH)
        self.assertEqual(hostname, check_hostname(hostname))


class TestCheckWorkerLimit(TestCase):
    """See `check_worker_limit`."""

    def test_check_worker_limit_bounds(self):
        # Nothing is a limit, too.
        self.assertEqual(0, check_worker_limit(0))
        self.assertEqual(MAX_WORKER_LIMIT, check_worker_limit(MAX_WORKER_LIMIT))

    def test_check_worker_limit_out_of_bounds(self):
        # The message has the limit that was given.
        for bad in (-1, 10_001, 2**40):
            with self.assertRaisesRegex(InvalidWorkerLimit, f"is {bad}; it must be from 0 to 1"):
                check_worker_limit(bad)

    def test_check_worker_limit_other_types(self):
        # True is no 1 here, and "1" is none either.
        for bad in (True, False, None, "1", b"1", 1.0, float("nan"), [1]):
            with self.subTest(repr(bad)), self.assertRaises(InvalidWorkerLimit):
                check_worker_limit(bad)

    @given(anything)
    def test_check_worker_limit_is_total(self, value):
        # Whatever it is given, it answers with a number in range, or refuses by name.
        with contextlib.suppress(InvalidWorkerLimit):
            self.assertTrue(0 <= check_worker_limit(value) <= MAX_WORKER_LIMIT)


class TestCheckJobId(TestCase):
    """See `check_job_id`."""

    def test_check_job_id_bounds(self):
        # Every number that the database can give to a job passes.
        self.assertEqual([1, MAX_ID], [check_job_id(1), check_job_id(MAX_ID)])

    def test_check_job_id_impossible_numbers(self):
        # A number that no job can have is that of no job.
        for bad in (0, -1, MAX_ID + 1):
            with self.subTest(bad), self.assertRaises(NoSuchCodeImportJob):
                check_job_id(bad)

    def test_check_job_id_other_types(self):
        # What is no number is a mistake of the caller, not a job that ended.
        for bad in (True, None, "1", 1.0):
            with self.subTest(bad), self.assertRaisesRegex(InvalidArgument, "must be a whole"):
                check_job_id(bad)

    @given(anything)
    def test_check_job_id_is_total(self, value):
        # Whatever it is given, it answers with a possible id, or refuses by name.
        with contextlib.suppress(InvalidArgument, NoSuchCodeImportJob):
            self.assertTrue(1 <= check_job_id(value) <= MAX_ID)


class TestCheckText(TestCase):
    """See `check_text`."""

    def test_check_text_bytes(self):
        # What is no UTF-8 is replaced, never fatal: it is some program's output.
        self.assertEqual("a\N{REPLACEMENT CHARACTER}b", check_text(b"a\xffb", "log tail"))

    def test_check_text_names_the_argument(self):
        # The message says which argument is meant.
        with self.assertRaisesRegex(InvalidArgument, "The log tail must be text, not a number"):
            check_text(5, "log tail")

    @given(anything)
    def test_check_text_is_total(self, value):
        # Whatever it is given, it answers with text, or refuses by name.
        try:
            self.assertIsInstance(check_text(value, "thing"), str)
        except InvalidArgument:
            self.assertNotIsInstance(value, str | bytes)


class TestStorableText(TestCase):
    """See `lp.services.text.storable_text`."""

    def test_storable_text_replaces(self):
        # NUL and half characters are marked; everything else stays.
        self.assertEqual("a\ufffdb\ufffd\ufffd\ufffd\t\x01", storable_text("a\0b\udc80\t\x01"))

    @given(st.text(st.characters(exclude_categories=()), max_size=50))
    def test_storable_text_is_storable(self, text):
        # The result is UTF-8 without NUL, and storing it again changes nothing.
        stored = storable_text(text)
        self.assertNotIn(b"\0", stored.encode())
        self.assertEqual(stored, storable_text(stored))
