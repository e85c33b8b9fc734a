"""The layers hold, one module writes jobs, and only edges end transactions."""

import textwrap
import unittest

from tests.layerrules import Module, check_imports, check_model_references, read_library
from tests.writerrules import check_job_columns, check_job_statements, check_transactions


class TestLibrary(unittest.TestCase):
    """The rules, applied to every module of the library."""

    def setUp(self) -> None:
        self.modules = read_library()

    def assert_nothing(self, check) -> None:
        found = [violation for module in self.modules for violation in check(module)]
        self.assertEqual([], found, "\n".join(["", *found]))

    def test_library_is_read(self) -> None:
        # An empty list of modules would pass every check.
        names = {module.name for module in self.modules}
        self.assertLessEqual({"lp", "lp.code.errors", "lp.testing.runner"}, names)

    def test_imports_keep_the_layers(self) -> None:
        # Each module imports only what its layer may.
        self.assert_nothing(check_imports)

    def test_models_refer_by_string_and_utility(self) -> None:
        # No model imports another one.
        self.assertEqual([], check_model_references(self.modules))

    def test_job_columns_are_assigned_by_the_workflow(self) -> None:
        # The lifecycle of jobs has one writer.
        self.assert_nothing(check_job_columns)

    def test_job_statements_are_the_workflow_s(self) -> None:
        # Neither is the one writer circumvented by SQL.
        self.assert_nothing(check_job_statements)

    def test_transactions_are_ended_by_edges(self) -> None:
        # Whoever calls the domain decides when its work is committed.
        self.assert_nothing(check_transactions)


class RuleTestCase(unittest.TestCase):
    """Applies a rule to a module of a few lines."""

    def module(self, name: str, source: str, *, is_package: bool = False) -> Module:
        return Module.parse(name, textwrap.dedent(source), is_package=is_package)

    def assert_breaks(self, check, name: str, source: str) -> None:
        with self.subTest(name=name, source=source):
            self.assertEqual(1, len(check(self.module(name, source))))

    def assert_keeps(self, check, name: str, source: str) -> None:
        with self.subTest(name=name, source=source):
            self.assertEqual([], check(self.module(name, source)))


class TestImportRule(RuleTestCase):
    """The table of layers bites, row by row."""

    def test_forbidden_imports(self) -> None:
        # One import, or more, that each row forbids.
        for name, source in [
            ("lp", "import lp.code.enums"),
            ("lp.code", "from lp.code.enums import CodeImportJobState"),
            ("lp.services.config", "from lp.code.enums import CodeImportJobState"),
            ("lp.services.webapp.xmlrpc", "import lp.xmlrpc.faults"),
            ("lp.services.database.stores", "from lp.testing import layers"),
            ("lp.code.enums", "import socket"),
            ("lp.code.errors", "import os\nos.environ"),
            ("lp.code.errors", "from lp.services.errors import ServiceError"),
            ("lp.code.policy.source", "from socket import getaddrinfo"),
            ("lp.code.policy.schedule", "from lp.code.interfaces import codeimport"),
            ("lp.code.policy.schedule", "import time"),
            ("lp.code.interfaces.codeimport", "from lp.code.model import codeimport"),
            ("lp.code.interfaces.codeimport", "from lp.services.config import config"),
            ("lp.registry.interfaces.person", "from storm.locals import Int"),
            ("lp.services.webapp.interfaces", "from lp.services.webapp.xmlrpc import parse"),
            ("lp.code.model.codeimport", "from lp.services.webapp import xmlrpc"),
            ("lp.code.model.codeimport", "from lp.services.webapp.interfaces import IXMLRPCView"),
            ("lp.code.model.codeimport", "from lp.code.xmlrpc import codeimportscheduler"),
            ("lp.code.model.codeimport", "from pyramid.response import Response"),
            ("lp.registry.model.person", "from xmlrpc.client import Fault"),
            ("lp.code.xmlrpc.codeimportscheduler", "from lp.code.model.codeimport import X"),
            ("lp.code.xmlrpc.codeimportscheduler", "import lp.code.model.codeimport"),
            ("lp.code.xmlrpc.codeimportscheduler", "from lp.code import model"),
            ("lp.code.xmlrpc.codeimportscheduler", "from ..model import codeimport"),
            ("lp.code.xmlrpc.codeimportscheduler", "import_module('lp.code.model.codeimport')"),
            ("lp.code.xmlrpc.codeimportscheduler", "def f():\n    import storm.locals"),
            ("lp.code.browser.codeimport", "import transaction"),
            ("lp.code.notifications.mail", "from lp.services.database.interfaces import IStore"),
            ("lp.xmlrpc.application", "from lp.registry.model.person import Person"),
            ("lp.codehosting.paths", "from lp.services.database import stores"),
            ("lp.codehosting.paths", "from lp.xmlrpc import faults"),
            ("lp.codehosting.codeimport.worker", "from lp.code.interfaces.codeimport import I"),
            ("lp.codehosting.codeimport.worker", "from lp.registry.interfaces.person import I"),
            ("lp.codehosting.codeimport.worker", "from lp.codehosting.smarthttp import serve"),
            ("lp.codehosting.codeimport.client", "import psycopg2"),
            ("lp.scripts.serve", "from lp.testing.server import ServerProcess"),
        ]:
            self.assert_breaks(check_imports, name, source)

    def test_allowed_imports(self) -> None:
        # What the table allows passes.
        for name, source in [
            ("lp.services.webapp.xmlrpc", "import socket\nfrom lp.services.config import config"),
            ("lp.code.errors", "import os\nos.EX_USAGE"),
            ("lp.code.policy.source", "from urllib.parse import urlsplit\nimport lp.code.errors"),
            ("lp.code.interfaces.codeimport", "from lp.registry.interfaces.person import IPerson"),
            ("lp.code.interfaces.codeimport", "from pyramid.interfaces import IRequest"),
            ("lp.code.model.codeimport", "import storm.locals\nfrom lp.services.config import c"),
            ("lp.code.xmlrpc.codeimportscheduler", "from lp.xmlrpc.helpers import return_fault"),
            ("lp.xmlrpc.application", "from lp.services.webapp.limits import BodyLimit"),
            ("lp.codehosting.smarthttp", "from lp.code.interfaces.gitrepository import I"),
            ("lp.codehosting.codeimport.worker", "from lp.codehosting.paths import path_of"),
            ("lp.codehosting.codeimport.worker", "from lp.codehosting.codeimport import client"),
            ("lp.scripts.serve", "import transaction\nfrom lp.code.model.codeimport import X"),
            ("lp.testing.factory", "from lp.code.model.codeimport import CodeImport"),
        ]:
            self.assert_keeps(check_imports, name, source)

    def test_module_outside_the_table(self) -> None:
        # A room that the table does not know would be free to import anything.
        self.assert_breaks(check_imports, "lp.code.helpers", "")

    def test_relative_import_in_package(self) -> None:
        # In a package, one dot is the package itself.
        module = self.module("lp.code.xmlrpc", "from . import model", is_package=True)
        self.assertEqual([(1, "lp.code.xmlrpc.model")], module.imports)


class TestModelRule(RuleTestCase):
    """Models know each other by interface and by name only."""

    COMPONENT = "@implementer(IThing)\nclass Thing: pass"

    def check(self, name: str, source: str) -> list[str]:
        return check_model_references(
            [
                self.module("lp.code.model.codeimport", self.COMPONENT),
                self.module("lp.code.model.schema", self.COMPONENT, is_package=True),
                self.module("lp.code.model.locks", "def lock(): pass"),
                self.module(name, source),
            ]
        )

    def test_importing_a_model(self) -> None:
        # Neither the class nor the module is imported by another model.
        for source in (
            "from lp.code.model.codeimport import Thing",
            "from lp.code.model import codeimport",
            "from . import codeimport",
        ):
            self.assertEqual(1, len(self.check("lp.code.model.codeimportjob", source)), source)

    def test_importing_functions_and_own_package(self) -> None:
        # Functions may be shared, and a package is one model.
        for name, source in [
            ("lp.code.model.codeimportjob", "from lp.code.model.locks import lock"),
            ("lp.code.model.schema.patch_2", "from lp.code.model.schema import Thing"),
        ]:
            self.assertEqual([], self.check(name, source), source)


class TestJobColumnsRule(RuleTestCase):
    """Only the workflow assigns what makes a job's life."""

    JOB = "class CodeImportJob:\n    __storm_table__ = 'codeimportjob'\n"
    EVENT = "class Event:\n    def make(self{}):\n        event = Event()\n        {}\n"

    def test_every_way_to_assign(self) -> None:
        # Assignment in all its forms, and what amounts to one.
        for statement in (
            "job.state = 1",
            "job.machine, x = None, 1",
            "job.machine_id += 1",
            "job.heartbeat: int = 1",
            "del job.logtail",
            "for job.date_due in x: pass",
            "with x as job.date_started: pass",
            "setattr(job, 'requesting_user', None)",
            "store.find(CodeImportJob).set(state=1)",
            "store.execute(Update({}, CodeImportJob.id == 1))",
        ):
            self.assert_breaks(check_job_columns, "lp.code.model.codeimport", statement)
            self.assert_keeps(check_job_columns, "lp.code.model.codeimportjobworkflow", statement)

    def test_job_s_own_class(self) -> None:
        # Not even the job assigns its columns.
        source = self.JOB + "    def f(self):\n        self.state = 1"
        self.assert_breaks(check_job_columns, "lp.code.model.codeimportjob", source)

    def test_own_attributes_of_others(self) -> None:
        # A machine's state is no job's, nor that of an event just made.
        for source in (
            "class Machine:\n    def f(self):\n        self.state = 1",
            self.EVENT.format("", "event.machine = 1"),
        ):
            self.assert_keeps(check_job_columns, "lp.code.model.codeimportmachine", source)

    def test_object_that_was_not_just_made(self) -> None:
        # A variable that may hold something else may hold a job.
        for source in (
            self.EVENT.format(", event", "event.machine = 1"),
            self.EVENT.format("", "event = x; event.machine = 1"),
            self.EVENT.format("", "job.machine = 1"),
            self.JOB + "def f():\n    job = CodeImportJob()\n    job.state = 1",
        ):
            self.assert_breaks(check_job_columns, "lp.code.model.codeimportevent", source)

    def test_reading(self) -> None:
        # Whoever reads a job's columns writes nothing.
        self.assert_keeps(check_job_columns, "lp.code.model.codeimport", "print(job.state)")


class TestJobStatementsRule(RuleTestCase):
    """Only the workflow and the schema's patches hold SQL that writes jobs."""

    def test_writing_statements(self) -> None:
        # Whatever the case, the white space, and the kind of string.
        for statement in (
            "'INSERT INTO CodeImportJob (id) VALUES (1)'",
            "'update\\n  codeimportjob set state = 10'",
            "f'DELETE FROM codeimportjob WHERE id = {x}'",
            "'DELETE FROM ONLY public.codeimportjob'",
            "'TRUNCATE TABLE \"codeimportjob\"'",
        ):
            self.assert_breaks(check_job_statements, "lp.code.model.codeimport", statement)
            self.assert_keeps(check_job_statements, "lp.code.model.schema.patch_1", statement)

    def test_other_statements(self) -> None:
        # Reading and locking jobs, or writing other tables, is free.
        for statement in (
            "'SELECT id FROM codeimportjob FOR UPDATE OF codeimportjob SKIP LOCKED'",
            "'UPDATE codeimportjobs SET x = 1'",
            "'UPDATE codeimport SET review_status = 1'",
        ):
            self.assert_keeps(check_job_statements, "lp.code.model.codeimport", statement)


class TestTransactionsRule(RuleTestCase):
    """Only edges begin and end transactions."""

    def test_every_way_to_end_one(self) -> None:
        # By any name, directly, or through the manager.
        for source in (
            "import transaction\ntransaction.commit()",
            "import transaction as t\nt.abort()",
            "import transaction\ntransaction.manager.begin()",
            "import transaction\ntransaction.get().abort()",
            "import transaction\nwith transaction.manager: pass",
            "from transaction import commit\ncommit()",
            "from transaction import manager\nwith manager: pass",
            "from transaction import begin as start\nstart()",
            "Store.of(job).rollback()",
            "from lp.services.database.transactions import run",
        ):
            self.assert_breaks(check_transactions, "lp.code.model.codeimport", source)
            self.assert_keeps(check_transactions, "lp.scripts.serve", source)
            self.assert_keeps(check_transactions, "lp.services.webapp.publication", source)

    def test_services_but_edges(self) -> None:
        # A service may commit what is no transaction of ours; ours it does not.
        name = "lp.services.logstore.database"
        self.assert_keeps(check_transactions, name, "index.commit()")
        self.assert_breaks(check_transactions, name, "import transaction\ntransaction.commit()")

    def test_work_after_the_commit(self) -> None:
        # To join a transaction, or to wait for its end, is not to end it.
        self.assert_keeps(
            check_transactions,
            "lp.code.model.codeimport",
            "import transaction\ntransaction.get().addAfterCommitHook(f)",
        )
