"""When is an import due next?"""

__all__ = ["MAX_INTERVAL", "MIN_INTERVAL", "check_update_interval", "interval_after"]

from datetime import timedelta
from typing import Any

from lp.code.enums import CodeImportResultStatus
from lp.code.errors import InvalidUpdateInterval

MIN_INTERVAL = timedelta(minutes=1)
MAX_INTERVAL = timedelta(days=365)


def check_update_interval(interval: timedelta | None) -> timedelta | None:
    """Return an import's own interval.

    :param interval: The interval; None means the default of the source's type.
    :raise InvalidUpdateInterval: if it is shorter than a minute or longer than a year.
    """
    if interval is not None and not MIN_INTERVAL <= interval <= MAX_INTERVAL:
        raise InvalidUpdateInterval(
            f"The update interval {interval} is out of range: a minute to 365 days."
        )
    return interval


def interval_after(status: Any, interval: timedelta, consecutive_failures: int) -> timedelta:
    """Return how long after the start of a run the next one is due.

    :param status: The `CodeImportResultStatus` that the run ended with.
    :param interval: The import's interval.
    :param consecutive_failures: How many runs have now failed in a row, 0 after a success.
    :return: Nothing after a partial success, since more is waiting; the interval, doubled
        for each failure but the first, and never more than a year.
    """
    if status == CodeImportResultStatus.SUCCESS_PARTIAL:
        return timedelta(0)
    doublings = max(consecutive_failures - 1, 0)
    # Beyond a year's worth of doublings the product would only overflow.
    if interval.total_seconds() * 2 ** min(doublings, 64) >= MAX_INTERVAL.total_seconds():
        return max(interval, MAX_INTERVAL)
    return interval * 2**doublings
