"""Logs: the whole output of runs, kept for those who ask why."""

__all__ = ["ILogFile", "ILogStore"]

from zope.interface import Interface
from zope.schema import Datetime, Int, TextLine


class ILogFile(Interface):
    """One stored log."""

    id = Int(title="ID", description="The number in the store.", readonly=True)
    name = TextLine(title="Name", description="What to call the file.", readonly=True)
    size = Int(title="Size", description="The length in bytes.", readonly=True)
    date_created = Datetime(title="Date created", description="When it was stored.", readonly=True)

    def read() -> bytes:
        """Return the whole content."""


class ILogStore(Interface):
    """Where logs are kept, in the transaction of the result that they belong to."""

    def create(name: str, content: bytes) -> ILogFile:
        """Store a log.

        :param name: What to call the file.
        :param content: The output, of whatever bytes.
        :return: The stored log.
        """

    def delete(ids: list[int]) -> None:
        """Delete logs that nothing points to any more.

        :param ids: Their numbers; one that is unknown is passed over.
        """
