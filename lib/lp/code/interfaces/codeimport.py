"""Code imports: which source is imported into which target, and whether it is run."""

__all__ = ["CodeImportSummary", "ICodeImport", "ICodeImportSet"]

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from zope.interface import Attribute, Interface
from zope.schema import Choice, Datetime, Int, TextLine, Timedelta

from lp.code.enums import (
    CodeImportReviewStatus,
    RevisionControlSystems,
    TargetRevisionControlSystems,
)
from lp.code.interfaces.codeimportevent import ICodeImportEvent
from lp.code.policy.source import Source


class ICodeImport(Interface):
    """The order to keep one target up to date from one source."""

    id = Int(title="ID", description="The number in the database.", readonly=True)
    date_created = Datetime(
        title="Date created", description="When it was registered.", readonly=True
    )
    git_repository = Attribute("The `IGitRepository` that is kept up to date.")
    target = Attribute("The same as `git_repository`.")
    registrant = Attribute("The `IPerson` who registered it.")
    owner = Attribute("The `IPerson` who looks after it; first its registrant.")
    assignee = Attribute("The `IPerson` who is to decide about it, or None.")
    review_status = Choice(
        title="Review status",
        description="Whether it is run.",
        values=tuple(CodeImportReviewStatus.items),
        readonly=True,
    )
    rcs_type = Choice(
        title="Type",
        description="The system that the source is kept in.",
        values=tuple(RevisionControlSystems.items),
        readonly=True,
    )
    target_rcs_type = Choice(
        title="Target type",
        description="The system that the target is kept in: always Git.",
        values=tuple(TargetRevisionControlSystems.items),
        readonly=True,
    )
    url = TextLine(
        title="URL", description="The source; None for CVS.", required=False, readonly=True
    )
    cvs_root = TextLine(
        title="CVS root", description="Where a CVS source is; else None.", required=False
    )
    cvs_module = TextLine(
        title="CVS module", description="Which module of it; else None.", required=False
    )
    date_last_successful = Datetime(
        title="Last success",
        description="When the target last agreed with the source; None if it never did.",
        required=False,
        readonly=True,
    )
    update_interval = Timedelta(
        title="Update interval",
        description="How long after the start of a run the next is due; None means the default.",
        required=False,
        readonly=True,
    )
    effective_update_interval = Timedelta(
        title="Effective interval",
        description="The update interval, or the configured default of the source's type.",
        readonly=True,
    )
    source_state = TextLine(
        title="Source state",
        description="The fingerprint of the source at the last import; empty if not known.",
        readonly=True,
    )
    import_job = Attribute("The `ICodeImportJob`, or None.")
    results = Attribute("The `ICodeImportResult`s, the newest first.")
    consecutive_failure_count = Int(
        title="Failures in a row",
        description="How many results have come since the last success.",
        readonly=True,
    )

    def getImportDetailsForDisplay() -> str:
        """Return the source in words: the URL, or the CVS root and module."""

    def updateFromData(data: Mapping[str, Any], user: Any) -> ICodeImportEvent | None:
        """Change the import; its job comes or goes with the review status.

        A job that runs stays, and has no successor if the import is then not REVIEWED.

        :param data: New values by attribute name: any of ``review_status``, ``url``,
            ``cvs_root``, ``cvs_module``, ``owner``, ``assignee``, ``update_interval``.
        :param user: The `IPerson` who does it; None for the system.
        :return: The MODIFY event, or None when nothing changed.
        :raise InvalidArgument: if an attribute cannot be changed.
        :raise InvalidSource: if the new source is malformed.
        :raise ForbiddenSource: if the policy refuses the new source.
        :raise SourceTaken: if the new source is imported by another import.
        :raise InvalidUpdateInterval: if the interval is out of range.
        :raise NoSuchCodeImport: if the import has been deleted meanwhile.
        """

    def updateURL(new_url: str, user: Any) -> ICodeImportEvent | None:
        """Change the source's URL.

        :param new_url: The new URL.
        :param user: The `IPerson` who does it.
        :return: The MODIFY event, or None when it is the present URL.
        :raise InvalidSource: and the others, as `updateFromData` does.
        """

    def requestImport(requester: Any, error_if_already_requested: bool = False) -> None:
        """Ask for a run as soon as possible.

        :param requester: The `IPerson` who asks.
        :param error_if_already_requested: Whether a second request is refused rather than
            accepted without effect.
        :raise CodeImportNotInReviewedState: if the import has no job, as it is not REVIEWED.
        :raise CodeImportAlreadyRunning: if it runs.
        :raise NoSuchCodeImport: if the import has been deleted meanwhile.
        :raise CodeImportAlreadyRequested: if somebody has asked, and that is to be refused.
        """

    def tryFailingImportAgain(user: Any) -> None:
        """Approve a FAILING import again, and ask for a run.

        :param user: The `IPerson` who does it.
        :raise CodeImportNotFailing: if it is not FAILING.
        """


@dataclass(frozen=True)
class CodeImportSummary:
    """What lists show of an import.

    :ivar target: The target's unique name.
    :ivar source: The source in words.
    :ivar rcs_type: The source's `RevisionControlSystems`.
    :ivar review_status: The `CodeImportReviewStatus`.
    :ivar job_state: The `CodeImportJobState` of its job; None if it has no job.
    :ivar date_due: When its job is due; None if it has no job.
    :ivar last_status: The `CodeImportResultStatus` of its last run; None if it never ran.
    :ivar date_last_finished: When its last run ended; None if it never ran.
    """

    target: str
    source: str
    rcs_type: Any
    review_status: Any
    job_state: Any
    date_due: datetime | None
    last_status: Any
    date_last_finished: datetime | None


class ICodeImportSet(Interface):
    """All imports."""

    def new(
        registrant: Any,
        target: str,
        rcs_type: Any,
        url: str | None = None,
        cvs_root: str | None = None,
        cvs_module: str | None = None,
        review_status: Any = None,
        owner: Any = None,
        allow_local: bool = False,
    ) -> ICodeImport:
        """Register an import; its source is not contacted.

        :param registrant: The `IPerson` who registers it.
        :param target: The unique name of the target.
        :param rcs_type: The source's `RevisionControlSystems`: CVS, SVN, BZR_SVN, GIT, HG
            or BZR.
        :param url: The source, unless it is CVS.
        :param cvs_root: Where a CVS source is.
        :param cvs_module: Which module of it.
        :param review_status: A `CodeImportReviewStatus`; None means REVIEWED, for which a
            job that is due at once is made.
        :param owner: The `IPerson` who looks after it; None means the registrant.
        :param allow_local: Whether sources on this machine and in private networks are
            allowed, besides what the configuration says.
        :return: The import.
        :raise UnsupportedSourceType: if sources of the type are not imported.
        :raise InvalidSource: if the source is malformed.
        :raise ForbiddenSource: if the policy refuses the source.
        :raise InvalidTargetName: if the target's name is malformed.
        :raise SourceTaken: if the source is imported already.
        :raise TargetTaken: if the target belongs to another import.
        """

    def get(id: int) -> ICodeImport:
        """Return an import.

        :param id: Its number.
        :raise NoSuchCodeImport: if there is none of that number.
        """

    def getByGitRepository(repository: Any) -> ICodeImport | None:
        """Find the import of a target.

        :param repository: The `IGitRepository`.
        :return: The import, or None.
        """

    def getByTargetName(unique_name: str) -> ICodeImport | None:
        """Find the import of a target.

        :param unique_name: The target's name, in whatever case.
        :return: The import, or None.
        """

    def getBySource(source: Source) -> ICodeImport | None:
        """Find the import of a source.

        :param source: The source in its normal form, as `check_source` returns it.
        :return: The import, or None.
        """

    def search(review_status: Any = None, rcs_type: Any = None) -> Iterable[ICodeImport]:
        """Return the imports that fit all filters, by number.

        :param review_status: A `CodeImportReviewStatus`, or None for any.
        :param rcs_type: A `RevisionControlSystems`, or None for any.
        """

    def summarize() -> Iterator[CodeImportSummary]:
        """Return what lists show of all imports, by target, as few at a time as possible."""

    def delete(code_import: ICodeImport, user: Any = None) -> None:
        """Delete an import, its job and its results; its target and its events stay.

        :param code_import: The import.
        :param user: The `IPerson` who does it; None for the system.
        :raise NoSuchCodeImport: if it has been deleted meanwhile.
        """
