"""The sample data that documents speak of."""

__all__ = ["make_sample_data"]

from zope.component import getUtility

from lp.code.enums import CodeImportMachineState, RevisionControlSystems
from lp.code.interfaces.codeimport import ICodeImportSet
from lp.code.interfaces.codeimportmachine import ICodeImportMachineSet
from lp.registry.interfaces.person import IPersonSet


def make_sample_data() -> None:
    """Make a person, an ONLINE machine, and an import whose job, number 1, is due.

    The caller commits.
    """
    registrant = getUtility(IPersonSet).ensure("sample-person", "Sample Person")
    getUtility(ICodeImportMachineSet).new("bazaar-importer", CodeImportMachineState.ONLINE)
    getUtility(ICodeImportSet).new(
        registrant,
        "gnome/gnome-terminal",
        RevisionControlSystems.GIT,
        url="https://git.example.org/gnome/gnome-terminal",
    )
