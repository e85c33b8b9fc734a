"""Macaroons that let the worker of a running job write its target."""

__all__ = ["CodeImportJobMacaroonIssuer"]

from typing import Any

from pymacaroons import Macaroon, Verifier
from pymacaroons.exceptions import MacaroonException
from zope.interface import implementer

from lp.code.enums import CodeImportJobState
from lp.code.interfaces.codeimportjob import ICodeImportJob
from lp.code.interfaces.gitrepository import IGitRepository
from lp.services.config import config
from lp.services.macaroons.interfaces import (
    BadMacaroonContext,
    IMacaroonIssuer,
    MacaroonVerification,
)
from lp.services.macaroons.key import macaroon_key

CAVEAT_NAME = "lp.code-import-job"


@implementer(IMacaroonIssuer)
class CodeImportJobMacaroonIssuer:
    """See `IMacaroonIssuer`.  The context is a job, or the target of one."""

    identifier = "code-import-job"

    def issueMacaroon(self, context: Any) -> Macaroon:
        """See `IMacaroonIssuer`."""
        if not ICodeImportJob.providedBy(context):
            raise BadMacaroonContext(context, "it is issued for jobs only")
        macaroon = Macaroon(
            location=config.vhost.mainsite.hostname,
            identifier=self.identifier,
            key=macaroon_key(),
        )
        macaroon.add_first_party_caveat(f"{CAVEAT_NAME} {context.id}")
        return macaroon

    def verifyMacaroon(
        self,
        macaroon: Any,
        context: Any,
        require_context: bool = True,
        errors: list[str] | None = None,
    ) -> MacaroonVerification | None:
        """See `IMacaroonIssuer`."""
        problem = self._find_problem(macaroon, context, require_context)
        if problem is None:
            return MacaroonVerification(issuer_name=self.identifier)
        if errors is not None:
            errors.append(problem)
        return None

    def _find_problem(self, macaroon: Any, context: Any, require_context: bool) -> str | None:
        """Say why a macaroon is refused, or None."""
        problem = self._find_problem_of_origin(macaroon)
        if problem is not None:
            return problem
        if IGitRepository.providedBy(context):
            context = context.code_import and context.code_import.import_job
            if context is None:
                return "The target has no job."
        if context is None:
            if require_context:
                return "There is no job to hold the macaroon against."
        elif not ICodeImportJob.providedBy(context):
            return "Macaroons of this kind are for jobs and their targets."
        elif context.state != CodeImportJobState.RUNNING:
            return f"Job {context.id} is not running."
        return self._find_problem_of_caveats(macaroon, context)

    def _find_problem_of_origin(self, macaroon: Any) -> str | None:
        """Say what is wrong with where and what for a macaroon was issued, or None."""
        if macaroon.location != config.vhost.mainsite.hostname:
            return f"The macaroon was issued elsewhere: at {macaroon.location!r}."
        # All purposes share one key.
        if macaroon.identifier_bytes != self.identifier.encode():
            return "The macaroon was issued for another purpose."
        return None

    def _find_problem_of_caveats(self, macaroon: Any, job: Any) -> str | None:
        """Say what is wrong with a macaroon's caveats or its signature, or None."""
        names = []
        for caveat in macaroon.caveats:
            # Strangers may have put any bytes here.
            text = caveat.caveat_id_bytes.decode("utf-8", "replace")
            name, separator, value = text.partition(" ")
            if not separator:
                return f"The caveat {text!r} cannot be parsed."
            if name != CAVEAT_NAME:
                return f"The caveat {name!r} is unknown."
            if job is not None and value != str(job.id):
                return f"The macaroon is for another job than {job.id}."
            names.append(name)
        if len(names) != 1:
            return f"The macaroon has {len(names)} caveats {CAVEAT_NAME!r}, not 1."
        verifier = Verifier()
        verifier.satisfy_general(lambda caveat: True)
        try:
            verifier.verify(macaroon, macaroon_key())
        except MacaroonException:
            return "The signature is wrong."
        return None
