"""The makers and judges of macaroons."""

__all__ = ["BadMacaroonContext", "IMacaroonIssuer", "MacaroonVerification"]

import os
from dataclasses import dataclass
from typing import Any

from zope.interface import Attribute, Interface


class BadMacaroonContext(Exception):
    """No macaroon can be made for the thing that was given.

    :ivar context: The thing.
    """

    exit_code = os.EX_SOFTWARE

    def __init__(self, context: object, reason: str) -> None:
        super().__init__(f"No macaroon can be issued: {reason}.")
        self.context = context


@dataclass(frozen=True)
class MacaroonVerification:
    """What a macaroon that was found good says.

    :ivar issuer_name: The name of the issuer, `IMacaroonIssuer.identifier`.
    """

    issuer_name: str


class IMacaroonIssuer(Interface):
    """Makes and judges the macaroons of one purpose; a utility, by its identifier."""

    identifier = Attribute("The name of the purpose, which its macaroons carry.")

    def issueMacaroon(context: Any) -> Any:
        """Make a macaroon.

        :param context: What its bearer may act on.
        :return: A ``pymacaroons.Macaroon``; serialised it is a secret.
        :raise BadMacaroonContext: if nothing can be allowed on the context.
        """

    def verifyMacaroon(
        macaroon: Any,
        context: Any,
        require_context: bool = True,
        errors: list[str] | None = None,
    ) -> MacaroonVerification | None:
        """Judge a macaroon.

        :param macaroon: A ``pymacaroons.Macaroon``.
        :param context: What its bearer wants to act on; None if that is not known yet.
        :param require_context: Whether a context of None is refused.
        :param errors: A list that the reasons of a refusal are added to; None if nobody
            wants to know them.
        :return: What the macaroon says, or None if it is refused.
        """
