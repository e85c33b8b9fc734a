"""The enumerations of code imports, with the names and numbers of the database and the wire."""

__all__ = [
    "NON_CVS_RCS_TYPES",
    "CodeImportEventDataType",
    "CodeImportEventType",
    "CodeImportJobState",
    "CodeImportMachineOfflineReason",
    "CodeImportMachineState",
    "CodeImportResultStatus",
    "CodeImportReviewStatus",
    "RevisionControlSystems",
    "TargetRevisionControlSystems",
]

from lazr.enum import DBEnumeratedType, DBItem, EnumeratedType, Item


class RevisionControlSystems(DBEnumeratedType):
    """The system that a source is kept in."""

    CVS = DBItem(1, "Concurrent Versions System")
    SVN = DBItem(2, "Subversion")
    BZR_SVN = DBItem(3, "Subversion, by its older name")
    GIT = DBItem(4, "Git")
    HG = DBItem(5, "Mercurial")
    BZR = DBItem(6, "Bazaar")


NON_CVS_RCS_TYPES = (
    RevisionControlSystems.SVN,
    RevisionControlSystems.BZR_SVN,
    RevisionControlSystems.GIT,
    RevisionControlSystems.HG,
    RevisionControlSystems.BZR,
)
"""The types whose source is a URL."""


class TargetRevisionControlSystems(EnumeratedType):
    """The system that a target is kept in; here always Git."""

    BZR = Item("Bazaar")
    GIT = Item("Git")


class CodeImportReviewStatus(DBEnumeratedType):
    """Whether an import is run."""

    NEW = DBItem(1, "Pending Review", "It was filed, and nobody has decided about it.")
    INVALID = DBItem(10, "Invalid", "It will not be run.")
    REVIEWED = DBItem(20, "Reviewed", "It is approved, and run when it is due.")
    SUSPENDED = DBItem(30, "Suspended", "It is approved, and an operator has paused it.")
    FAILING = DBItem(40, "Failed", "It failed too often in a row, and is no longer tried.")


class CodeImportJobState(DBEnumeratedType):
    """Where a job is in its life."""

    PENDING = DBItem(10, "Pending", "It waits until it is due and a machine asks for work.")
    SCHEDULED = DBItem(20, "Scheduled", "Reserved: no job enters this state.")
    RUNNING = DBItem(30, "Running", "A machine works on it.")


class CodeImportMachineState(DBEnumeratedType):
    """Whether a machine gets work."""

    OFFLINE = DBItem(10, "Offline", "It gets no work.")
    ONLINE = DBItem(20, "Online", "It gets work.")
    QUIESCING = DBItem(30, "Quiescing", "It finishes its jobs, and gets no new ones.")


class CodeImportMachineOfflineReason(DBEnumeratedType):
    """Why a machine went offline."""

    STOPPED = DBItem(110, "Stopped", "A person took it offline.")
    QUIESCED = DBItem(120, "Quiesced", "It has finished its jobs after it was asked to.")
    WATCHDOG = DBItem(210, "Watchdog", "It had not been heard of for too long.")


class CodeImportResultStatus(DBEnumeratedType):
    """How a run ended."""

    SUCCESS = DBItem(100, "Success", "New history was imported.")
    SUCCESS_NOCHANGE = DBItem(110, "Success with no changes", "The source had nothing new.")
    SUCCESS_PARTIAL = DBItem(120, "Partial Success", "Some history was imported; more is left.")
    FAILURE = DBItem(200, "Failure", "The run failed.")
    INTERNAL_FAILURE = DBItem(210, "Internal Failure", "The fault is this system's.")
    FAILURE_INVALID = DBItem(
        220, "Source invalid", "There is no repository at the source, or it cannot be reached."
    )
    FAILURE_UNSUPPORTED_FEATURE = DBItem(
        230, "Unsupported feature", "The source uses something that cannot be imported."
    )
    FAILURE_FORBIDDEN = DBItem(240, "Forbidden URL", "The policy refuses the source.")
    FAILURE_REMOTE_BROKEN = DBItem(
        250, "Broken source", "There is a repository at the source, and it is damaged."
    )
    RECLAIMED = DBItem(310, "Job reclaimed", "The machine fell silent, or gave the job back.")
    KILLED = DBItem(320, "Job killed", "A person ended it.")


# Set on the finished class: an enumeration takes nothing but items in its body.
CodeImportResultStatus.successes = [
    CodeImportResultStatus.SUCCESS,
    CodeImportResultStatus.SUCCESS_NOCHANGE,
    CodeImportResultStatus.SUCCESS_PARTIAL,
]


class CodeImportEventType(DBEnumeratedType):
    """What happened."""

    CREATE = DBItem(110, "Import Created")
    MODIFY = DBItem(120, "Import Modified")
    DELETE = DBItem(130, "Import Deleted")
    START = DBItem(210, "Job Started")
    FINISH = DBItem(220, "Job Finished")
    PUBLISH = DBItem(230, "Import First Published")
    RECLAIM = DBItem(240, "Job Reclaimed Automatically")
    REQUEST = DBItem(310, "Update Requested")
    KILL = DBItem(320, "Termination Requested")
    ONLINE = DBItem(410, "Machine Online")
    OFFLINE = DBItem(420, "Machine Offline")
    QUIESCE = DBItem(430, "Quiescing Requested")


class CodeImportEventDataType(DBEnumeratedType):
    """What one item of an event's data says.

    The names that begin with OLD_ stand for the value before a modification.
    """

    MESSAGE = DBItem(10, "Message")
    CODE_IMPORT = DBItem(110, "Code import")
    OWNER = DBItem(120, "Owner")
    OLD_OWNER = DBItem(121, "Previous owner")
    REVIEW_STATUS = DBItem(130, "Review status")
    OLD_REVIEW_STATUS = DBItem(131, "Previous review status")
    ASSIGNEE = DBItem(140, "Assignee")
    OLD_ASSIGNEE = DBItem(141, "Previous assignee")
    UPDATE_INTERVAL = DBItem(210, "Update interval")
    OLD_UPDATE_INTERVAL = DBItem(211, "Previous update interval")
    CVS_ROOT = DBItem(220, "CVS root")
    CVS_MODULE = DBItem(221, "CVS module")
    OLD_CVS_ROOT = DBItem(222, "Previous CVS root")
    OLD_CVS_MODULE = DBItem(223, "Previous CVS module")
    SVN_BRANCH_URL = DBItem(230, "Subversion URL, as older events have it")
    OLD_SVN_BRANCH_URL = DBItem(231, "Previous Subversion URL, as older events have it")
    GIT_REPO_URL = DBItem(237, "Git URL, as older events have it")
    OLD_GIT_REPO_URL = DBItem(238, "Previous Git URL, as older events have it")
    URL = DBItem(240, "URL")
    OLD_URL = DBItem(241, "Previous URL")
    OFFLINE_REASON = DBItem(410, "Offline reason")
    RECLAIMED_JOB_ID = DBItem(510, "Reclaimed job")
