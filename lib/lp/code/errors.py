"""Everything that the code import system refuses, and the one table of fault codes.

Each message is one sentence, or two, that says what to do.  The facts are attributes.
"""

__all__ = [
    "FAULT_CODES",
    "CodeImportAlreadyRequested",
    "CodeImportAlreadyRunning",
    "CodeImportError",
    "CodeImportJobMissing",
    "CodeImportJobPresent",
    "CodeImportNotFailing",
    "CodeImportNotInReviewedState",
    "ForbiddenSource",
    "InvalidArgument",
    "InvalidHostname",
    "InvalidSource",
    "InvalidTargetName",
    "InvalidUpdateInterval",
    "InvalidWorkerLimit",
    "JobNotPending",
    "JobNotRunning",
    "JobNotStale",
    "MachineExists",
    "MachineFull",
    "MachineStateRefused",
    "NoSuchCodeImport",
    "NoSuchCodeImportJob",
    "NoSuchMachine",
    "SourceTaken",
    "TargetTaken",
    "UnknownMachineRefused",
    "UnknownResultStatus",
    "UnsupportedSourceType",
    "WrongModifyToken",
    "fault_code",
]

import os


class CodeImportError(Exception):
    """The code import system refused a request."""

    exit_code: int = os.EX_DATAERR


# Jobs.


class NoSuchCodeImportJob(CodeImportError):
    """There is no such job: it never was, or it has ended."""

    exit_code = os.EX_NOINPUT

    def __init__(self, job_id: int) -> None:
        super().__init__(f"Job {job_id} not found.")
        self.job_id = job_id


class JobStateError(CodeImportError):
    """The job is in another state than the one that was needed."""

    needed = ""

    def __init__(self, job_id: int, state: str) -> None:
        super().__init__(f"Job {job_id} is {state}, not {self.needed}.")
        self.job_id = job_id
        self.state = state


class JobNotPending(JobStateError):
    """Only a PENDING job can be started, requested or deleted."""

    needed = "PENDING"


class JobNotRunning(JobStateError):
    """Only a RUNNING job can send heartbeats, finish or be reclaimed."""

    needed = "RUNNING"


class JobNotStale(CodeImportError):
    """A job that was heard of lately is not taken away from its machine."""

    def __init__(self, job_id: int) -> None:
        super().__init__(f"Job {job_id} was heard of lately, and is not reclaimed.")
        self.job_id = job_id


class CodeImportJobPresent(CodeImportError):
    """An import has at most one job."""

    def __init__(self, target: str) -> None:
        super().__init__(f"The import of {target} has a job already.")
        self.target = target


class CodeImportJobMissing(CodeImportError):
    """The import has no job that could be deleted."""

    def __init__(self, target: str) -> None:
        super().__init__(f"The import of {target} has no job.")
        self.target = target


class UnknownResultStatus(CodeImportError):
    """There is no result status of that name."""

    def __init__(self, status_name: object, known: list[str]) -> None:
        super().__init__(f"{status_name!r} is not a result status; use one of {', '.join(known)}.")
        self.status_name = status_name


# Machines.


class NoSuchMachine(CodeImportError):
    """There is no machine of that hostname."""

    exit_code = os.EX_NOINPUT

    def __init__(self, hostname: str) -> None:
        super().__init__(
            f"There is no machine {hostname}; the known ones are shown by `codeimport machines`."
        )
        self.hostname = hostname


class MachineExists(CodeImportError):
    """A hostname is registered once."""

    def __init__(self, hostname: str) -> None:
        super().__init__(f"The machine {hostname} is registered already.")
        self.hostname = hostname


class MachineStateRefused(CodeImportError):
    """A machine cannot go from its state into the wanted one, or cannot take a job in it."""

    def __init__(self, hostname: str, state: str, wanted: str) -> None:
        super().__init__(f"The machine {hostname} is {state}, and cannot {wanted}.")
        self.hostname = hostname
        self.state = state


class MachineFull(CodeImportError):
    """A machine runs as many jobs as it said that it can."""

    def __init__(self, hostname: str, worker_limit: int) -> None:
        super().__init__(f"The machine {hostname} runs {worker_limit} jobs, which is its limit.")
        self.hostname = hostname
        self.worker_limit = worker_limit


class UnknownMachineRefused(CodeImportError):
    """This scheduler gives no work to machines that nobody has registered."""

    exit_code = os.EX_NOPERM

    def __init__(self, hostname: str) -> None:
        super().__init__(
            f"The machine {hostname} is not registered;"
            f" ask an operator for `codeimport machine {hostname} online`."
        )
        self.hostname = hostname


class InvalidArgument(CodeImportError):
    """An argument is of the wrong type or out of range."""

    exit_code = os.EX_USAGE


class InvalidHostname(InvalidArgument):
    """A hostname is text of 1 to 253 characters, without spaces and control characters."""


class InvalidWorkerLimit(InvalidArgument):
    """A worker limit is a whole number from 0 to 10,000."""


# Imports and targets.


class NoSuchCodeImport(CodeImportError):
    """There is no such import."""

    exit_code = os.EX_NOINPUT

    def __init__(self, which: object) -> None:
        super().__init__(
            f"There is no import {which}; the known ones are shown by `codeimport list`."
        )
        self.which = which


class CodeImportNotInReviewedState(CodeImportError):
    """An import without a job cannot be requested."""

    def __init__(self, target: str, review_status: str) -> None:
        super().__init__(
            f"The import of {target} is {review_status}; it is run only while it is REVIEWED."
        )
        self.target = target
        self.review_status = review_status


class CodeImportNotFailing(CodeImportError):
    """Only a FAILING import is tried again."""

    def __init__(self, target: str, review_status: str) -> None:
        super().__init__(f"The import of {target} is {review_status}, not FAILING.")
        self.target = target
        self.review_status = review_status


class CodeImportAlreadyRunning(CodeImportError):
    """An import that runs cannot be requested."""

    def __init__(self, target: str) -> None:
        super().__init__(f"The import of {target} is running already.")
        self.target = target


class CodeImportAlreadyRequested(CodeImportError):
    """Somebody has requested the import already.

    :ivar requesting_user: The `IPerson` who did.
    """

    def __init__(self, target: str, requesting_user: object) -> None:
        name = getattr(requesting_user, "name", requesting_user)
        super().__init__(f"The import of {target} was requested already by {name}.")
        self.target = target
        self.requesting_user = requesting_user


class InvalidTargetName(CodeImportError):
    """A target's name has two or more segments of letters, digits and ``._+~-``."""


class TargetTaken(CodeImportError):
    """A target belongs to one import."""

    def __init__(self, target: str, source: str) -> None:
        super().__init__(f"The target {target} belongs to the import of {source}; choose another.")
        self.target = target
        self.source = source


class SourceTaken(CodeImportError):
    """A source is imported once."""

    def __init__(self, source: str, target: str) -> None:
        super().__init__(f"{source} is imported already, as {target}.")
        self.source = source
        self.target = target


class InvalidSource(CodeImportError):
    """The source's URL, CVS root or CVS module is malformed."""


class ForbiddenSource(CodeImportError):
    """The policy does not allow to import from there."""

    exit_code = os.EX_NOPERM


class UnsupportedSourceType(CodeImportError):
    """Sources of this type are not imported."""


class InvalidUpdateInterval(CodeImportError):
    """An update interval is at least a minute and at most a year."""


class WrongModifyToken(CodeImportError):
    """A modification is recorded with the token that was taken of the same import."""


FAULT_CODES: dict[type[CodeImportError], int] = {
    NoSuchCodeImportJob: 360,
    JobNotRunning: 361,
    JobNotPending: 362,
    MachineStateRefused: 363,
    InvalidHostname: 364,
    InvalidWorkerLimit: 365,
    UnknownResultStatus: 366,
    UnknownMachineRefused: 367,
    InvalidArgument: 368,
    MachineFull: 369,
    JobNotStale: 370,
    CodeImportJobPresent: 371,
    CodeImportJobMissing: 372,
    NoSuchMachine: 373,
    MachineExists: 374,
    NoSuchCodeImport: 375,
    CodeImportNotInReviewedState: 376,
    CodeImportNotFailing: 377,
    CodeImportAlreadyRunning: 378,
    CodeImportAlreadyRequested: 379,
    InvalidTargetName: 381,
    TargetTaken: 382,
    SourceTaken: 383,
    InvalidSource: 384,
    ForbiddenSource: 385,
    UnsupportedSourceType: 386,
    InvalidUpdateInterval: 387,
    WrongModifyToken: 388,
    CodeImportError: 399,
}
"""What each refusal is over XML-RPC.  A code is never given a second meaning."""


def fault_code(error: CodeImportError) -> int:
    """Return the code of `error`'s class, or of the nearest class above it that has one.

    :param error: Any refusal.
    """
    return next(FAULT_CODES[kind] for kind in type(error).__mro__ if kind in FAULT_CODES)
