"""Logs in the database, compressed."""

__all__ = ["DatabaseLogStore", "LogFile"]

import zlib
from typing import Any

from storm.locals import Bytes, Int, Storm, Unicode
from zope.interface import implementer

from lp.services.database.columns import UTCDateTime
from lp.services.database.constants import DEFAULT
from lp.services.database.interfaces import IStore
from lp.services.logstore.interfaces import ILogFile, ILogStore


@implementer(ILogFile)
class LogFile(Storm):
    """See `ILogFile`."""

    __storm_table__ = "logfile"

    id = Int(primary=True)
    date_created: Any = UTCDateTime(allow_none=False, default=DEFAULT)
    name: str = Unicode(allow_none=False)
    size: int = Int(allow_none=False)
    content: bytes = Bytes(allow_none=False)

    def read(self) -> bytes:
        """See `ILogFile`."""
        return zlib.decompress(self.content)


@implementer(ILogStore)
class DatabaseLogStore:
    """See `ILogStore`."""

    def create(self, name: str, content: bytes) -> LogFile:
        """See `ILogStore`."""
        log_file = LogFile()
        log_file.name = name
        log_file.size = len(content)
        log_file.content = zlib.compress(content)
        store = IStore(LogFile)
        store.add(log_file)
        store.flush()
        return log_file

    def delete(self, ids: list[int]) -> None:
        """See `ILogStore`."""
        IStore(LogFile).find(LogFile, LogFile.id.is_in(ids)).remove()
