"""Targets: the Git repositories that imports keep up to date."""

__all__ = ["IGitRepository", "IGitRepositorySet"]

from zope.interface import Attribute, Interface
from zope.schema import Datetime, Int, Object, TextLine

from lp.registry.interfaces.person import IPerson


class IGitRepository(Interface):
    """A target: a Git repository that an import writes."""

    id = Int(title="ID", description="The number in the database.", readonly=True)
    unique_name = TextLine(
        title="Unique name",
        description="The path below the folder of all targets, without its ending .git.",
        readonly=True,
    )
    date_created = Datetime(
        title="Date created", description="When the name was registered.", readonly=True
    )
    registrant = Object(
        title="Registrant", description="Who registered the name.", schema=IPerson, readonly=True
    )
    source = TextLine(
        title="Source",
        description="What its history comes from, also after the import has been deleted.",
        readonly=True,
    )
    code_import = Attribute("The `ICodeImport` that writes it, or None when it has been deleted.")


class IGitRepositorySet(Interface):
    """All targets."""

    def ensure(registrant: IPerson, unique_name: str, source: str) -> IGitRepository:
        """Register a target for a new import; the repository itself comes with its first run.

        The target of an import that has been deleted is taken over by a new import of the
        same source.

        :param registrant: Who registers it.
        :param unique_name: Two or more segments, separated by slashes.
        :param source: What is imported, as `ICodeImport.getImportDetailsForDisplay` says it.
        :return: The target, which no import writes.
        :raise InvalidTargetName: if the name is malformed.
        :raise TargetTaken: if the name, in whatever case, belongs to an import, or to the
            history of another source.
        """

    def getByUniqueName(unique_name: str) -> IGitRepository | None:
        """Find a target.

        :param unique_name: The name, in whatever case.
        :return: The target, or None.
        """
