"""When an import is due next."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from lp.code.enums import CodeImportResultStatus
from lp.code.errors import InvalidUpdateInterval
from lp.code.policy.schedule import (
    MAX_INTERVAL,
    MIN_INTERVAL,
    check_update_interval,
    interval_after,
)
from lp.testing import TestCase

SIX_HOURS = timedelta(hours=6)
FAILURE = CodeImportResultStatus.FAILURE
SUCCESS = CodeImportResultStatus.SUCCESS
SUCCESS_PARTIAL = CodeImportResultStatus.SUCCESS_PARTIAL

intervals = st.timedeltas(MIN_INTERVAL, MAX_INTERVAL)
statuses = st.sampled_from(list(CodeImportResultStatus.items))
failure_counts = st.integers(0, 10_000)


class TestIntervalAfter(TestCase):
    """See `interval_after`."""

    def test_interval_after_success(self):
        # After a success, the import's own interval.
        self.assertEqual(SIX_HOURS, interval_after(SUCCESS, SIX_HOURS, 0))

    def test_interval_after_failures(self):
        # The first failure changes nothing; each further one doubles.
        hours = [
            interval_after(FAILURE, SIX_HOURS, count) / timedelta(hours=1) for count in range(1, 6)
        ]
        self.assertEqual([6, 12, 24, 48, 96], hours)

    def test_interval_after_partial_success(self):
        # More is waiting: nothing is waited for.
        self.assertEqual(timedelta(0), interval_after(SUCCESS_PARTIAL, SIX_HOURS, 0))

    def test_interval_after_many_failures_is_a_year(self):
        # However often it failed, an import is looked at once a year.
        self.assertEqual(MAX_INTERVAL, interval_after(FAILURE, SIX_HOURS, 10_000))

    @given(statuses, intervals, failure_counts)
    def test_interval_after_is_bounded(self, status, interval, failures):
        # The result is never negative, and never more than a year.
        result = interval_after(status, interval, failures)
        self.assertLessEqual(timedelta(0), result)
        self.assertLessEqual(result, MAX_INTERVAL)

    @given(intervals, failure_counts)
    def test_interval_after_grows_with_failures(self, interval, failures):
        # One failure more never means a shorter wait.
        shorter = interval_after(FAILURE, interval, failures)
        self.assertLessEqual(shorter, interval_after(FAILURE, interval, failures + 1))

    @given(intervals, intervals, failure_counts)
    def test_interval_after_grows_with_interval(self, one, other, failures):
        # A longer interval never means a shorter wait.
        short, long = sorted([one, other])
        self.assertLessEqual(
            interval_after(FAILURE, short, failures), interval_after(FAILURE, long, failures)
        )

    @given(statuses, intervals, st.integers(0, 5))
    def test_interval_after_is_at_least_the_interval(self, status, interval, failures):
        # Nothing but a partial success shortens the wait.
        if status != SUCCESS_PARTIAL:
            self.assertLessEqual(interval, interval_after(status, interval, failures))


class TestCheckUpdateInterval(TestCase):
    """See `check_update_interval`."""

    def test_check_update_interval_none(self):
        # None stands for the default.
        self.assertIsNone(check_update_interval(None))

    @given(intervals)
    def test_check_update_interval_in_range(self, interval):
        # Both bounds are in the range.
        self.assertEqual(interval, check_update_interval(interval))

    @given(
        st.timedeltas(max_value=MIN_INTERVAL - timedelta(microseconds=1))
        | st.timedeltas(min_value=MAX_INTERVAL + timedelta(microseconds=1))
    )
    def test_check_update_interval_out_of_range(self, interval):
        # Anything else is refused, nothing and less than nothing included.
        with self.assertRaises(InvalidUpdateInterval):
            check_update_interval(interval)
