"""The command line, called within the process on the layer's database."""

import contextlib
import io
import json
import logging
import os
import tempfile
from datetime import timedelta
from pathlib import Path

import transaction
from zope.component import getUtility

from lp.code.enums import CodeImportMachineState, CodeImportReviewStatus
from lp.code.interfaces.codeimport import ICodeImportSet
from lp.code.interfaces.codeimportevent import ICodeImportEventSet
from lp.code.interfaces.codeimportjob import ICodeImportJobSet, ICodeImportJobWorkflow
from lp.code.interfaces.codeimportmachine import ICodeImportMachineSet
from lp.scripts import main
from lp.services.config import config
from lp.services.database.stores import set_database
from lp.services.logstore.interfaces import ILogStore
from lp.testing import TestCaseWithFactory

URL = "https://git.example.org/engine"


class CommandTestCase(TestCaseWithFactory):
    """Runs commands as a shell does: arguments in; exit code and two texts out."""

    def setUp(self):
        super().setUp()
        os.environ["CODEIMPORT_DATABASE"] = self.layer.dsn
        self.addCleanup(os.environ.pop, "CODEIMPORT_DATABASE")
        root = logging.getLogger()
        self.addCleanup(setattr, root, "handlers", list(root.handlers))
        self.addCleanup(root.setLevel, root.level)

    def run_command(self, *arguments):
        # What other processes would see is what is committed.
        transaction.commit()
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main.run(list(arguments))
        finally:
            # The command has closed the database, as it is the whole process otherwise.
            set_database(self.layer.dsn)
            config.load(None)
        out.seek(0)
        return code, out.read(), err.getvalue()

    def succeed(self, *arguments):
        code, out, err = self.run_command(*arguments)
        self.assertEqual((0, ""), (code, err))
        return out

    def assert_refused(self, exit_code, sentence, *arguments):
        # One line on standard error, and nothing on standard output.
        code, out, err = self.run_command(*arguments)
        self.assertEqual((exit_code, "", f"codeimport: {sentence}\n"), (code, out, err))

    def config_file(self, text):
        number, name = tempfile.mkstemp(".conf")
        self.addCleanup(os.unlink, name)
        os.write(number, text.encode())
        os.close(number)
        return name


class TestAdd(CommandTestCase):
    """Registering imports."""

    def test_add_registers_an_import_that_is_due(self):
        # Nothing more is needed for a machine to be given its job.
        out = self.succeed("add", URL, "example/engine")
        self.assertEqual(f"Registered example/engine, imported from {URL}.\n", out)
        job = getUtility(ICodeImportJobSet).getJobForMachine("box", 1)
        self.assertEqual("example/engine", job.code_import.target.unique_name)

    def test_add_again_changes_nothing(self):
        # The second run says that it is there, and succeeds.
        self.succeed("add", URL, "example/engine")
        out = self.succeed("add", URL, "Example/Engine")
        self.assertEqual(f"Already registered: example/engine, imported from {URL}.\n", out)
        self.assertEqual(1, getUtility(ICodeImportSet).search().count())

    def test_add_without_target(self):
        # The target's name is made of the URL.
        facts = json.loads(self.succeed("add", f"{URL}.git/", "--json"))
        self.assertEqual("git.example.org/engine", facts["target"])
        self.assertEqual(f"{URL}.git", facts["source"])
        self.assertTrue(facts["registered"])
        self.assertRegex(facts["date_due"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")

    def test_add_other_types(self):
        # Each system's sources can be registered.
        self.succeed("add", "--type", "svn", "svn://svn.example.org/trunk")
        self.succeed("add", "--type", "hg", "https://hg.example.org/project")
        self.succeed("add", "--type", "bzr", "https://bzr.example.org/project")
        root = ":pserver:anonymous@cvs.example.org:/cvs"
        self.succeed("add", "--type", "cvs", "--cvs-module", "gnome", root)
        found = [i.target.unique_name for i in getUtility(ICodeImportSet).search()]
        self.assertEqual("cvs.example.org/cvs/gnome", found[-1])

    def test_add_again_as_another_type(self):
        # The same URL of another system is not the same import.
        self.succeed("add", URL, "example/engine")
        sentence = f"{URL} is imported already, as example/engine."
        self.assert_refused(65, sentence, "add", "--type", "hg", URL, "example/engine")

    def test_add_forgotten_scheme(self):
        # A host and a path are no path of this machine.
        code, _, err = self.run_command("add", "git.example.org/engine")
        self.assertEqual(65, code)
        self.assertIn("write it like https://", err)

    def test_add_longest_source(self):
        # What the database's indexes can hold is counted in bytes.
        for url in ("/" + "\u6f22" * 900, "https://h.org/" + "x" * 2000):
            code, _, err = self.run_command("add", "--allow-local", url)
            self.assertEqual((65, 1), (code, err.count("\n")))
        root, module = ":pserver:a@h.org:/" + "r" * 1200, "m" * 1200
        code, _, _ = self.run_command("add", "--type", "cvs", "--cvs-module", module, root)
        self.assertEqual(65, code)

    def test_add_path_of_nobody(self):
        # A user that is not there has no home.
        self.assertEqual(65, self.run_command("add", "~nobody-of-that-name/x")[0])

    def test_add_path(self):
        # A relative path is stored as the absolute one.
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            facts = json.loads(self.succeed("add", "--allow-local", "./repository", "--json"))
            self.assertEqual(str(Path(folder).resolve() / "repository"), facts["source"])

    def test_add_records_who_did_it(self):
        # The person of --as is made on first use.
        self.succeed("--as", "ada", "add", URL)
        [code_import] = getUtility(ICodeImportSet).search()
        self.assertEqual("ada", code_import.registrant.name)
        created = getUtility(ICodeImportEventSet).getEventsForCodeImport(code_import).first()
        self.assertEqual("ada", created.person.name)

    def test_add_refusals(self):
        # Each is one sentence, and registers nothing.
        self.succeed("add", URL, "example/engine")
        self.assert_refused(
            65, f"{URL} is imported already, as example/engine.", "add", URL, "example/motor"
        )
        self.assert_refused(
            65,
            f"The target example/engine belongs to the import of {URL}; choose another.",
            *("add", "https://git.example.org/motor", "example/engine"),
        )
        self.assert_refused(
            65,
            "The target's name 'engine' needs two or more segments, as in gnome/gnome-terminal.",
            *("add", URL, "engine"),
        )
        self.assert_refused(
            77,
            "Sources behind ssh need credentials, which cannot be kept yet; use a URL of another"
            " scheme: https, http, git.",
            *("add", "ssh://git.example.org/engine"),
        )
        self.assertEqual(1, getUtility(ICodeImportSet).search().count())

    def test_add_does_not_repeat_a_password(self):
        # Not in the refusal, whatever is wrong besides.
        for url in ("https://ada:sesame@h.org/x", "ada:sesame@h.org:x", "ssh://ada:sesame@h/x"):
            code, out, err = self.run_command("add", url)
            self.assertEqual(77, code)
            self.assertNotIn("sesame", out + err)
            self.assertEqual(1, err.count("\n"))

    def test_add_local_source(self):
        # It must be allowed, on the command line or in the configuration.
        code, _, err = self.run_command("add", "http://127.0.0.1/x")
        self.assertEqual(77, code)
        self.assertIn("--allow-local", err)
        self.succeed("add", "--allow-local", "http://127.0.0.1/x")
        conf = self.config_file("[codeimport]\nallow_local_sources: yes\n")
        self.succeed("--config", conf, "add", "http://127.0.0.1/y")

    def test_add_usage(self):
        # What click refuses has the exit code of usage errors.
        for arguments in (["add"], ["add", URL, "a/b", "c"], ["add", "--type", "rcs", URL]):
            code, _, err = self.run_command(*arguments)
            self.assertEqual(64, code)
            self.assertIn("Usage:", err)
        self.assertEqual(64, self.run_command("add", "--cvs-module", "x", URL)[0])
        self.assertEqual(64, self.run_command("nonsense")[0])


class TestListAndShow(CommandTestCase):
    """What there is."""

    def finish_run(self, status="SUCCESS", log=b"Cloning.\n"):
        from lp.code.enums import CodeImportResultStatus

        job = getUtility(ICodeImportJobSet).getJobForMachine("box", 1)
        log_file = getUtility(ILogStore).create("x.log", log) if log else None
        getUtility(ICodeImportJobWorkflow).finishJob(
            job, CodeImportResultStatus.items[status], log_file
        )

    def test_list_empty(self):
        # It says what to do.
        out = self.succeed("list")
        self.assertEqual("There are no imports yet; add one with: codeimport add URL\n", out)
        self.assertEqual([], json.loads(self.succeed("list", "--json")))

    def test_list(self):
        # By target, whatever the order of registration.
        self.factory.makeCodeImport("example/zebra")
        self.factory.makeCodeImport("Example/ape")
        lines = self.succeed("list").splitlines()
        self.assertEqual(["Target", "Example/ape", "example/zebra"], [x.split()[0] for x in lines])
        facts = json.loads(self.succeed("list", "--json"))
        self.assertEqual(["Example/ape", "example/zebra"], [item["target"] for item in facts])
        self.assertEqual("PENDING", facts[0]["job_state"])
        self.assertIsNone(facts[0]["last_result"])

    def test_list_pages(self):
        # More than one page is one list.
        from lp.code.model import codeimport

        self.addCleanup(setattr, codeimport, "PAGE", codeimport.PAGE)
        codeimport.PAGE = 2
        for number in range(5):
            self.factory.makeCodeImport(f"example/{number}")
        facts = json.loads(self.succeed("list", "--json"))
        self.assertEqual([f"example/{n}" for n in range(5)], [item["target"] for item in facts])

    def test_list_states(self):
        # What runs, what has run, and what is not run.
        self.factory.makeRunningJob(self.factory.makeCodeImport("example/running"))
        self.factory.makeCodeImport(
            "example/suspended", review_status=CodeImportReviewStatus.SUSPENDED
        )
        self.factory.makeResult(self.factory.makeCodeImport("example/was"))
        lines = self.succeed("list").splitlines()
        self.assertTrue(lines[1].strip().endswith("running"))
        self.assertRegex(lines[2], r"SUSPENDED +- +- +- *$")
        self.assertRegex(lines[3], r"SUCCESS +20\d\d-")

    def test_show(self):
        # The result, the end of the log, and when the import is due again.
        self.factory.makeCodeImport("example/engine", url=URL)
        self.finish_run(log=b"\x1b[31mCloning.\x00\n" + b"line\n" * 30)
        out = self.succeed("show", "EXAMPLE/engine")
        self.assertIn(f"Source:       {URL} (GIT)\n", out)
        self.assertIn("SUCCESS  on box, took 0.0 s", out)
        self.assertIn("(11 lines more with --log)", out)
        self.assertNotIn("\x1b", out)
        self.assertRegex(out, r"Next run: +20\d\d-\d\d-\d\d \d\d:\d\d:\d\d \w+\n")

    def test_show_escapes_nothing_of_the_whole_log(self):
        # --log gives the bytes, for files and pagers.
        self.factory.makeCodeImport("example/engine")
        self.finish_run(log=b"One.\nTwo.\n")
        self.assertEqual("One.\nTwo.\n", self.succeed("show", "example/engine", "--log"))

    def test_show_new_import(self):
        # It has not been run, and is due now.
        code_import = self.factory.makeCodeImport("example/engine")
        code_import.requestImport(self.factory.makePerson("ada"))
        out = self.succeed("show", "example/engine")
        self.assertIn("Next run:     due now, requested by ada\n", out)
        self.assertIn("It has not been run yet.\n", out)
        self.assertEqual("", self.succeed("show", "example/engine", "--log"))

    def test_show_json(self):
        # All facts, with nulls for what there is not.
        code_import = self.factory.makeCodeImport("example/engine")
        self.factory.makeRunningJob(code_import, self.factory.makeMachine("box"))
        facts = json.loads(self.succeed("show", "example/engine", "--json"))
        self.assertEqual(("RUNNING", "box"), (facts["job"]["state"], facts["job"]["machine"]))
        self.assertTrue(facts["mirror"].endswith("/mirrors/example/engine.git"))
        self.assertEqual([], facts["results"])

    def test_show_unknown(self):
        # It says how to find the known ones.
        self.assert_refused(
            66,
            "There is no import of a/b; the known ones are shown by `codeimport list`.",
            *("show", "a/b"),
        )


class TestMachines(CommandTestCase):
    """Machines, listed and changed."""

    def test_machines_empty(self):
        # No machine is no error.
        self.assertEqual("No machine has asked for work yet.\n", self.succeed("machines"))
        self.assertEqual([], json.loads(self.succeed("machines", "--json")))

    def test_machines(self):
        # How much each does, of how much it can do.
        self.factory.makeRunningJob(machine=self.factory.makeMachine("box", worker_limit=3))
        self.factory.makeMachine("idle", CodeImportMachineState.OFFLINE)
        lines = self.succeed("machines").splitlines()
        self.assertRegex(lines[1], r"^box +ONLINE +1 of 3 +20\d\d-")
        self.assertRegex(lines[2], r"^idle +OFFLINE +0 +- *$")
        facts = json.loads(self.succeed("machines", "--json"))
        self.assertEqual((1, 3), (facts[0]["running"], facts[0]["worker_limit"]))

    def test_machine(self):
        # Through all its states, with the person and the reason recorded.
        self.assertEqual("box is ONLINE now.\n", self.succeed("machine", "box", "online"))
        self.succeed("machine", "box", "quiesce")
        self.succeed("--as", "ada", "machine", "box", "offline", "--message", "smoke")
        box = getUtility(ICodeImportMachineSet).getByHostname("box")
        self.assertEqual(CodeImportMachineState.OFFLINE, box.state)
        event = box.events.first()
        self.assertEqual("ada", event.person.name)
        self.assertIn("smoke", dict(event.items()).values())

    def test_machine_refusals(self):
        # An unknown one, one that is in the state already, and no hostname at all.
        self.assert_refused(
            66,
            "There is no machine box; the known ones are shown by `codeimport machines`.",
            *("machine", "box", "offline"),
        )
        self.succeed("machine", "box", "online")
        self.assert_refused(
            65, "The machine box is ONLINE, and cannot go ONLINE.", "machine", "box", "online"
        )
        self.assertEqual(64, self.run_command("machine", "", "online")[0])
        self.assertEqual(64, self.run_command("machine", "box", "sideways")[0])


class TestEdges(CommandTestCase):
    """The configuration, the database, and help."""

    def test_help(self):
        # Every command has help that says what it does, and needs no database for it.
        os.environ["CODEIMPORT_DATABASE"] = "host=/nowhere"
        overview = self.succeed("--help")
        for name in main.SUBCOMMANDS:
            self.assertIn(f"  {name} ", overview)
            self.assertIn("Usage: codeimport", self.succeed(name, "--help"))

    def test_unknown_key(self):
        # The key is named, and the file.
        conf = self.config_file("[codeimport]\nfailure_limit: 1\n")
        self.assert_refused(
            78,
            f"The configuration {conf} is wrong: codeimport does not have a failure_limit key.",
            *("--config", conf, "list"),
        )

    def test_missing_configuration(self):
        # It was named, so it must be there.
        self.assert_refused(
            78,
            "The configuration /nowhere.conf cannot be read: No such file or directory.",
            *("--config", "/nowhere.conf", "list"),
        )

    def test_home_that_cannot_be_looked_at(self):
        # One sentence that names the variable, whatever stands in the way.
        os.environ["CODEIMPORT_HOME"], home = f"/tmp/{'x' * 300}", os.environ["CODEIMPORT_HOME"]
        self.addCleanup(config.load, None)
        self.addCleanup(os.environ.__setitem__, "CODEIMPORT_HOME", home)
        code, err = self.run_in_home("list")
        self.assertEqual((78, 1), (code, err.count("\n")))
        self.assertIn("CODEIMPORT_HOME", err)

    def run_in_home(self, *arguments):
        err = io.StringIO()
        with contextlib.redirect_stderr(err):
            return main.run(list(arguments)), err.getvalue()

    def test_unreachable_database(self):
        # One sentence, without the password.
        os.environ["CODEIMPORT_DATABASE"] = "host=127.0.0.1 port=1 user=ada password=sesame"
        code, out, err = self.run_command("list")
        self.assertEqual((69, "", 1), (code, out, err.count("\n")))
        self.assertNotIn("sesame", err)

    def test_unmigrated_database(self):
        # It says which command brings it up to date, and that command does.
        dsn = self.layer.create_database("unmigrated")
        self.addCleanup(self.layer.drop_database, "unmigrated")
        self.empty(dsn)
        os.environ["CODEIMPORT_DATABASE"] = dsn
        code, _, err = self.run_command("list")
        self.assertEqual((76, 1), (code, err.count("\n")))
        self.assertIn("codeimport migrate", err)
        self.assertIn("has version 1 now", self.succeed("migrate"))
        self.assertIn("has version 1 already", self.succeed("migrate"))
        self.succeed("list")

    def test_newer_database(self):
        # Neither a look nor a migration changes it.
        import psycopg2

        dsn = self.layer.create_database("newer")
        self.addCleanup(self.layer.drop_database, "newer")
        connection = psycopg2.connect(dsn)
        with connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO patch VALUES (99)")
        connection.close()
        os.environ["CODEIMPORT_DATABASE"] = dsn
        for name in ("list", "migrate"):
            code, _, err = self.run_command(name)
            self.assertEqual((76, 1), (code, err.count("\n")))

    def empty(self, dsn):
        import psycopg2

        connection = psycopg2.connect(dsn)
        with connection, connection.cursor() as cursor:
            cursor.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        connection.close()

    def test_doctor(self):
        # Everything is there but a scheduler, which need not be.
        conf = self.config_file("[vhost.xmlrpc_private]\nprivate_port: 1\n")
        out = self.succeed("--config", conf, "doctor")
        self.assertIn("note   Scheduler: none answers at ", out)
        for subject in ("Python", "Git", "Home", "Configuration", "Targets", "Key", "Database"):
            self.assertIn(f"ok     {subject}: ", out)
        findings = json.loads(self.succeed("doctor", "--json"))
        self.assertEqual("Scheduler", findings[-1]["subject"])

    def test_doctor_finds_what_is_wrong(self):
        # It goes on to the end, and exits with 1.
        os.environ["CODEIMPORT_DATABASE"] = "host=127.0.0.1 port=1"
        code, out, err = self.run_command("doctor")
        self.assertEqual((1, ""), (code, err))
        self.assertIn("wrong  Database: ", out)
        self.assertIn("Scheduler: ", out)

    def test_due_later_is_shown(self):
        # An import that is not due shows when it will be.
        self.factory.makeResult(self.factory.makeCodeImport("example/engine"))
        self.factory.letTimePass(timedelta(hours=1))
        self.assertNotIn("due now", self.succeed("show", "example/engine"))
        self.factory.letTimePass(timedelta(hours=6))
        self.assertIn("due now", self.succeed("show", "example/engine"))
