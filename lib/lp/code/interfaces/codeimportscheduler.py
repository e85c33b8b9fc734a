"""The scheduler: what import machines call over XML-RPC."""

__all__ = ["ICodeImportScheduler", "ICodeImportSchedulerApplication"]

from typing import Any

from lp.services.webapp.interfaces import IXMLRPCApplication, IXMLRPCView


class ICodeImportSchedulerApplication(IXMLRPCApplication):
    """The place at which the scheduler is published."""


class ICodeImportScheduler(IXMLRPCView):
    """What import machines call."""

    def getJobForMachine(hostname: str, worker_limit: int) -> int:
        """Claim the most urgent due job for a machine.

        :param hostname: The machine's hostname, 1 to 253 characters.  A hostname that was
            never seen is registered on its first call.
        :param worker_limit: How many jobs the machine can run at once, 0 to 10,000.
        :return: The job's id, or 0 when there is nothing for the machine to do.
        :raise Fault 364: if the hostname is malformed.
        :raise Fault 365: if the limit is no whole number, or out of range.
        :raise Fault 367: if the machine is unknown, and unknown machines are refused.
        """

    def getImportDataForJobID(job_id: int) -> dict[str, Any]:
        """Return what a worker needs to run a job.

        :param job_id: A running job.
        :return: ``arguments``, an array of strings for the worker's command line, among them
            a secret; ``target_url``, where the target is; ``log_file_name``, a name for the
            log; ``blacklisted_hostnames``, an array of the hosts that nothing is imported
            from; ``source_state``, the source's fingerprint at the last import, empty if
            there is none.
        :raise Fault 360: if there is no such job.
        :raise Fault 361: if the job does not run.
        :raise Fault 368: if the id is no whole number.
        """

    def updateHeartbeat(job_id: int, log_tail: str) -> int:
        """Report that a job's worker lives, and what it last printed.

        :param job_id: A running job.
        :param log_tail: The last lines of its output; may be empty.
        :return: 0.
        :raise Fault 360: if there is no such job: its worker should stop.
        :raise Fault 361: if the job does not run.
        :raise Fault 368: if the id is no whole number, or the tail is no text.
        """

    def finishJobID(
        job_id: int, status_name: str, log_file: bytes | str, source_state: str = ""
    ) -> None:
        """Report how a job ended.

        A call that is repeated with the same status is answered like the first one.

        :param job_id: A running job.
        :param status_name: The name of a result status, such as SUCCESS.
        :param log_file: The whole log as base64; empty if there is none.
        :param source_state: The fingerprint of what was published; empty if there is none.
        :raise Fault 360: if there is no such job.
        :raise Fault 361: if the job does not run.
        :raise Fault 366: if there is no such status.
        :raise Fault 368: if the id is no whole number, the log is neither base64 nor empty, or
            another argument is no text.
        """
