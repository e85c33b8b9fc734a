"""The refusals: their classes, their codes, their messages, and where they are promised."""

import builtins
import importlib
import inspect
import os
import pkgutil
import re
from pathlib import Path

from zope.interface.interface import InterfaceClass
from zope.interface.interfaces import IMethod

import lp
from lp.code import errors
from lp.code.errors import (
    FAULT_CODES,
    CodeImportAlreadyRequested,
    CodeImportError,
    InvalidArgument,
    InvalidHostname,
    InvalidWorkerLimit,
    JobNotPending,
    JobNotRunning,
    JobStateError,
    NoSuchCodeImportJob,
    SourceTaken,
    TargetTaken,
    UnknownResultStatus,
    fault_code,
)
from lp.services.webapp import xmlrpc as protocol
from lp.testing import TestCase
from lp.xmlrpc.faults import fault_for

RAISE = re.compile(r":raise ([\w.]+(?: -?\d+)?):")
SOURCES = Path(lp.__path__[0])


def refusals(root=CodeImportError):
    """Return a class of refusals and all below it that this project defines."""
    below = [found for kind in root.__subclasses__() for found in refusals(kind)]
    return [root, *below] if root.__module__.startswith("lp.") else below


def error_classes():
    """Return every exception class that the library defines, by name."""
    found = {}
    for path in SOURCES.rglob("*.py"):
        if re.search(
            r"^class \w+\(.*(Error|Exception|Refused|Invalid\w+)\)", path.read_text(), re.MULTILINE
        ):
            parts = path.relative_to(SOURCES.parent).with_suffix("").parts
            module = importlib.import_module(".".join(parts).removesuffix(".__init__"))
            found |= {
                name: kind
                for name, kind in inspect.getmembers(module, inspect.isclass)
                if issubclass(kind, Exception)
            }
    return found


def interfaces():
    """Return every interface that the library defines."""
    names = [
        info.name
        for info in pkgutil.walk_packages(lp.__path__, "lp.")
        if ".interfaces" in info.name and not info.ispkg
    ]
    found = {}
    for name in names:
        module = importlib.import_module(name)
        for member in vars(module).values():
            if isinstance(member, InterfaceClass) and member.__module__ == name:
                found[member.__identifier__] = member
    return list(found.values())


def promises():
    """Return what each method of each interface says that it raises."""
    return [
        (f"{interface.getName()}.{name}", promised)
        for interface in interfaces()
        for name, description in interface.namesAndDescriptions()
        if IMethod.providedBy(description)
        for promised in RAISE.findall(description.getDoc() or "")
    ]


class TestFaultCodes(TestCase):
    """The one table of fault codes."""

    def test_every_refusal_has_a_code_of_its_own(self):
        # No refusal borrows the code of its base, but for the base that is never raised.
        missing = [kind for kind in refusals() if kind not in FAULT_CODES]
        self.assertEqual([JobStateError], missing)

    def test_codes_are_unique(self):
        # A caller that sees a code knows the refusal.
        self.assertEqual(len(FAULT_CODES), len(set(FAULT_CODES.values())))

    def test_codes_are_not_the_protocol_s(self):
        # Negative codes are left to the protocol, and small ones to other programs' habits.
        self.assertTrue(all(300 < code < 400 for code in FAULT_CODES.values()))

    def test_no_such_job_is_360(self):
        # Workers in the field stop at this number.
        self.assertEqual(360, fault_code(NoSuchCodeImportJob(7)))

    def test_fault_code_of_derived_class(self):
        # A refusal that a later extension derives gets the code of its nearest base.
        class TooOld(JobNotRunning):
            """A refusal of somebody's extension."""

        self.assertEqual(FAULT_CODES[JobNotRunning], fault_code(TooOld(7, "PENDING")))

    def test_special_before_general(self):
        # A hostname that is refused is told apart from other bad arguments.
        self.assertEqual(
            [364, 365, 368],
            [
                fault_code(kind("no"))
                for kind in (InvalidHostname, InvalidWorkerLimit, InvalidArgument)
            ],
        )

    def test_every_class_is_exported(self):
        # Whoever catches a refusal can import it.
        names = {kind.__name__ for kind in refusals()} - {"JobStateError"}
        self.assertEqual(set(), names - set(errors.__all__))

    def test_fault_has_message_and_code(self):
        # The sentence is the same over XML-RPC as in process.
        fault = fault_for(NoSuchCodeImportJob(7))
        self.assertEqual((360, "Job 7 not found."), (fault.faultCode, fault.faultString))


class TestMessages(TestCase):
    """What refusals say, and the facts that they carry."""

    def test_every_class_explains_itself(self):
        # The first line of a class's documentation is a whole sentence.
        for kind in refusals():
            self.assertRegex(kind.__doc__.splitlines()[0], r"^[A-Z].*\.$", kind)

    def test_every_class_has_an_exit_code(self):
        # A command that meets a refusal has a code to exit with, out of sysexits.h.
        known = {getattr(os, name) for name in dir(os) if name.startswith("EX_")} - {os.EX_OK}
        self.assertEqual(set(), {kind.exit_code for kind in refusals()} - known)

    def test_state_errors_say_both_states(self):
        # Both the state that was met and the one that was needed.
        self.assertEqual("Job 3 is RUNNING, not PENDING.", str(JobNotPending(3, "RUNNING")))
        self.assertEqual("Job 3 is PENDING, not RUNNING.", str(JobNotRunning(3, "PENDING")))

    def test_taken_errors_name_the_other(self):
        # Who meets a taken name learns what has taken it.
        self.assertIn("https://a.example/x", str(TargetTaken("a/x", "https://a.example/x")))
        self.assertIn("a/x", str(SourceTaken("https://a.example/x", "a/x")))

    def test_already_requested_names_the_person(self):
        # The requester is a fact of the error, for pages that link to it.
        class Somebody:
            """A stand-in for any person."""

            name = "eric"

        error = CodeImportAlreadyRequested("a/x", Somebody)
        self.assertIs(Somebody, error.requesting_user)
        self.assertEqual("The import of a/x was requested already by eric.", str(error))

    def test_unknown_status_lists_the_known(self):
        # One sentence says what is wrong and what would be right.
        error = UnknownResultStatus("GREAT", ["SUCCESS", "FAILURE"])
        self.assertEqual(
            "'GREAT' is not a result status; use one of SUCCESS, FAILURE.", str(error)
        )


class TestPromises(TestCase):
    """What the interfaces say that methods raise."""

    def test_there_are_promises(self):
        # The search finds what it looks for.
        self.assertIn(
            ("ICodeImportJobWorkflow.startJob", "MachineFull"), promises(), "nothing was found"
        )

    def test_promised_errors_exist(self):
        # Every error that an interface promises is a class.
        known = set(error_classes()) | set(vars(builtins))
        unknown = [
            promise
            for promise in promises()
            if not promise[1].startswith("Fault ") and promise[1].rpartition(".")[2] not in known
        ]
        self.assertEqual([], unknown)

    def test_promised_faults_exist(self):
        # Every fault code that an interface promises is in a table.
        codes = set(FAULT_CODES.values())
        codes |= {value for value in vars(protocol).values() if isinstance(value, int)}
        promised = {
            int(what.removeprefix("Fault ")) for _, what in promises() if what.startswith("Fault ")
        }
        self.assertEqual(set(), promised - codes)

    def test_every_refusal_is_promised(self):
        # Every refusal is promised by an interface or a policy, or is a command's own.
        patterns = ("**/interfaces/*.py", "**/policy/*.py")
        paths = [path for pattern in patterns for path in SOURCES.glob(pattern)]
        promised = set(RAISE.findall("\n".join(path.read_text() for path in paths)))
        commands = "\n".join(path.read_text() for path in SOURCES.glob("scripts/*.py"))
        promised |= set(re.findall(r"\braise (\w+)\(", commands))
        silent = [
            kind.__name__
            for kind, code in FAULT_CODES.items()
            if kind is not CodeImportError and not promised & {kind.__name__, f"Fault {code}"}
        ]
        self.assertEqual([], silent)
