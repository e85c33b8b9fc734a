"""The root of the private XML-RPC instance."""

__all__ = ["IPrivateApplication"]

from zope.interface import Attribute, Interface


class IPrivateApplication(Interface):
    """What the private instance publishes; each attribute is a segment of its URLs."""

    codeimportscheduler = Attribute("The `ICodeImportSchedulerApplication`.")
