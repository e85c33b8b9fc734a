"""Storm properties for enumerations and for instants."""

__all__ = ["DBEnum", "UTCDateTime"]

from datetime import UTC, datetime
from typing import Any

from lazr.enum import DBEnumeratedType, DBItem
from storm.properties import DateTime, SimpleProperty
from storm.variables import DateTimeVariable, Variable

from lp.services.database.errors import UnknownEnumValue


class DBEnumVariable(Variable):
    """Holds an item of one enumeration; the database holds the item's value."""

    __slots__ = ("_enum",)

    def __init__(self, *args: Any, enum: type[DBEnumeratedType], **kwargs: Any) -> None:
        # Before Variable's own, which may already be given a value to parse.
        self._enum = enum
        super().__init__(*args, **kwargs)

    def parse_set(self, value: Any, from_db: bool) -> DBItem:
        """Return the item for what the database or the program gave."""
        if from_db:
            try:
                return self._enum.items[value]
            except KeyError:
                raise UnknownEnumValue(
                    describe_column(self.column), value, self._enum.name
                ) from None
        if not isinstance(value, DBItem) or value not in self._enum:
            raise TypeError(f"Not an item of {self._enum.name}: {value!r}")
        return value

    def parse_get(self, value: DBItem, to_db: bool) -> Any:
        """Return the item, or its value for the database."""
        return value.value if to_db else value


class DBEnum(SimpleProperty):
    """A column of the numbers of a `DBEnumeratedType`, seen as its items.

    Numbers and names are refused with TypeError when they are assigned or compared;
    a number in the database that the enumeration lacks raises `UnknownEnumValue`.

    :param enum: The enumeration.
    """

    variable_class = DBEnumVariable

    def __init__(
        self,
        name: str | None = None,
        primary: bool = False,
        *,
        enum: type[DBEnumeratedType],
        **kwargs: Any,
    ) -> None:
        super().__init__(name, primary, enum=enum, **kwargs)


class UTCDateTimeVariable(DateTimeVariable):
    """Holds an aware datetime in UTC."""

    __slots__ = ()

    def parse_set(self, value: Any, from_db: bool) -> datetime:
        """Return the instant in UTC."""
        # Storm would take a number for seconds since 1970.
        if not isinstance(value, datetime):
            raise TypeError(f"Not a datetime: {value!r}")
        instant: datetime = super().parse_set(value, from_db)
        return instant


class UTCDateTime(DateTime):
    """A ``timestamptz`` column, seen as aware datetimes in UTC.

    A naive datetime is refused with ValueError; SQL such as `UTC_NOW` may be assigned.
    """

    variable_class = UTCDateTimeVariable

    def __init__(self, name: str | None = None, primary: bool = False, **kwargs: Any) -> None:
        super().__init__(name, primary, tzinfo=UTC, **kwargs)


def describe_column(column: Any) -> str:
    """Return ``table.column`` as far as it is known."""
    name = getattr(column, "name", None) or "?"
    table = getattr(getattr(column, "cls", None), "__storm_table__", None)
    table = table or getattr(column, "table", None)
    return f"{table}.{name}" if isinstance(table, str) else str(name)
