"""People: who registers imports, requests runs and operates machines."""

__all__ = ["IPerson", "IPersonSet"]

from zope.interface import Interface
from zope.schema import Datetime, Int, TextLine


class IPerson(Interface):
    """Somebody who acts."""

    id = Int(title="ID", description="The number in the database.", readonly=True)
    name = TextLine(
        title="Name", description="The unique name, such as a user name of the operating system."
    )
    display_name = TextLine(title="Display name", description="The name as pages show it.")
    date_created = Datetime(
        title="Date created", description="When the person was first seen.", readonly=True
    )


class IPersonSet(Interface):
    """All people."""

    def getByName(name: str) -> IPerson | None:
        """Find a person.

        :param name: The exact name.
        :return: The person, or None when there is none of that name.
        """

    def ensure(name: str, display_name: str | None = None) -> IPerson:
        """Find a person, or make one on first use; safe when several callers do at once.

        :param name: The unique name: 1 to 100 characters, without spaces and control
            characters.
        :param display_name: The name to show, used only for a new person; None means
            the same as `name`.
        :return: The person.
        :raise InvalidPersonName: if `name` has another form.
        """
