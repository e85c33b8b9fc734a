"""The people table."""

__all__ = ["Person", "PersonSet"]

import re
from typing import Any

from storm.locals import Int, Storm, Unicode
from zope.interface import implementer

from lp.registry.errors import InvalidPersonName
from lp.registry.interfaces.person import IPerson, IPersonSet
from lp.services.database.columns import UTCDateTime
from lp.services.database.constants import DEFAULT
from lp.services.database.interfaces import IStore
from lp.services.text import is_storable

NAME = re.compile(r"[^\s\x00-\x1f\x7f]{1,100}")


@implementer(IPerson)
class Person(Storm):
    """See `IPerson`."""

    __storm_table__ = "person"

    id: int = Int(primary=True)
    name: str = Unicode(allow_none=False)
    display_name: str = Unicode(allow_none=False)
    date_created: Any = UTCDateTime(allow_none=False, default=DEFAULT)


@implementer(IPersonSet)
class PersonSet:
    """See `IPersonSet`."""

    def getByName(self, name: str) -> Person | None:
        """See `IPersonSet`."""
        if not is_storable(name):
            return None
        person: Person | None = IStore(Person).find(Person, name=name).one()
        return person

    def ensure(self, name: str, display_name: str | None = None) -> Person:
        """See `IPersonSet`."""
        if not NAME.fullmatch(name) or not name.isprintable():
            raise InvalidPersonName(name)
        person = self.getByName(name)
        if person is None:
            IStore(Person).execute(
                "INSERT INTO person (name, display_name) VALUES (?, ?)"
                " ON CONFLICT (name) DO NOTHING",
                (name, display_name or name),
            )
            person = self.getByName(name)
        if person is None:
            raise InvalidPersonName(name)
        return person
