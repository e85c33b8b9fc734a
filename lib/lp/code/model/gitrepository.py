"""The targets table."""

__all__ = ["GitRepository", "GitRepositorySet"]

from typing import Any

from storm.expr import Lower
from storm.locals import Int, Reference, Storm, Unicode
from zope.component import getUtility
from zope.interface import implementer

from lp.code.errors import TargetTaken
from lp.code.interfaces.codeimport import ICodeImportSet
from lp.code.interfaces.gitrepository import IGitRepository, IGitRepositorySet
from lp.code.policy.targetname import check_target_name
from lp.services.database.columns import UTCDateTime
from lp.services.database.constants import DEFAULT
from lp.services.database.interfaces import IStore
from lp.services.text import is_storable

INSERT_REPOSITORY = """
    INSERT INTO gitrepository (unique_name, registrant, source) VALUES (?, ?, ?)
    ON CONFLICT (lower(unique_name)) DO NOTHING RETURNING id
"""


@implementer(IGitRepository)
class GitRepository(Storm):
    """See `IGitRepository`."""

    __storm_table__ = "gitrepository"

    id: int = Int(primary=True)
    unique_name: str = Unicode(allow_none=False)
    date_created: Any = UTCDateTime(allow_none=False, default=DEFAULT)
    registrant_id = Int(name="registrant", allow_none=False)
    registrant = Reference(registrant_id, "Person.id")
    source: str = Unicode(allow_none=False)

    @property
    def code_import(self) -> Any:
        """See `IGitRepository`."""
        return getUtility(ICodeImportSet).getByGitRepository(self)


@implementer(IGitRepositorySet)
class GitRepositorySet:
    """See `IGitRepositorySet`."""

    def ensure(self, registrant: Any, unique_name: str, source: str) -> GitRepository:
        """See `IGitRepositorySet`."""
        check_target_name(unique_name)
        values = (unique_name, registrant.id, source)
        inserted = IStore(GitRepository).execute(INSERT_REPOSITORY, values).get_one()
        repository = self.getByUniqueName(unique_name)
        if repository is None or (
            inserted is None
            and (repository.source != source or repository.code_import is not None)
        ):
            raise TargetTaken(unique_name, repository.source if repository else "another source")
        return repository

    def getByUniqueName(self, unique_name: str) -> GitRepository | None:
        """See `IGitRepositorySet`."""
        if not is_storable(unique_name):
            return None
        found = IStore(GitRepository).find(
            GitRepository, Lower(GitRepository.unique_name) == unique_name.lower()
        )
        repository: GitRepository | None = found.one()
        return repository
