"""Imports and their targets: the corners."""

from datetime import timedelta

from zope.component import getUtility

from lp.code.enums import (
    CodeImportJobState,
    CodeImportResultStatus,
    CodeImportReviewStatus,
    RevisionControlSystems,
    TargetRevisionControlSystems,
)
from lp.code.errors import (
    CodeImportError,
    ForbiddenSource,
    InvalidSource,
    InvalidTargetName,
    NoSuchCodeImport,
    SourceTaken,
    TargetTaken,
    UnsupportedSourceType,
)
from lp.code.interfaces.gitrepository import IGitRepositorySet
from lp.code.policy.source import Source
from lp.services.logstore.interfaces import ILogStore
from tests.integration.domain import DomainTestCase

CVS = RevisionControlSystems.CVS
GIT = RevisionControlSystems.GIT
FAILING = CodeImportReviewStatus.FAILING
INVALID = CodeImportReviewStatus.INVALID
NEW = CodeImportReviewStatus.NEW
REVIEWED = CodeImportReviewStatus.REVIEWED
SUSPENDED = CodeImportReviewStatus.SUSPENDED
FAILURE = CodeImportResultStatus.FAILURE
SUCCESS = CodeImportResultStatus.SUCCESS

URL = "https://git.example.org/terminal"


class TestNew(DomainTestCase):
    """See `ICodeImportSet.new`."""

    def new(self, target="gnome/terminal", rcs_type=GIT, url=URL, **values):
        """Register an import."""
        return self.imports.new(self.factory.makePerson(), target, rcs_type, url, **values)

    def test_new(self):
        # An import is approved at once, and due at once.
        code_import = self.new()
        self.assertEqual(REVIEWED, code_import.review_status)
        self.assertEqual((GIT, URL), (code_import.rcs_type, code_import.url))
        self.assertEqual(TargetRevisionControlSystems.GIT, code_import.target_rcs_type)
        self.assertEqual("gnome/terminal", code_import.target.unique_name)
        self.assertEqual(code_import.registrant, code_import.owner)
        self.assertEqual(("", None), (code_import.source_state, code_import.date_last_successful))
        self.assert_due_in(timedelta(0), code_import.import_job)
        self.assertEqual(["CREATE"], self.event_names())

    def test_new_every_type(self):
        # Sources of five systems are imported.
        for rcs_type in RevisionControlSystems.items:
            code_import = self.factory.makeCodeImport(rcs_type=rcs_type)
            self.assertEqual(rcs_type, code_import.rcs_type)
            self.assertEqual(CodeImportJobState.PENDING, code_import.import_job.state)

    def test_new_in_other_review_status(self):
        # An import that is not REVIEWED has no job.
        for number, status in enumerate((NEW, INVALID, SUSPENDED, FAILING)):
            code_import = self.new(f"a/{number}", url=f"{URL}{number}", review_status=status)
            self.assertEqual((status, None), (code_import.review_status, code_import.import_job))

    def test_new_owner(self):
        # Somebody else may look after it.
        owner = self.factory.makePerson()
        code_import = self.new(owner=owner)
        self.assertEqual(owner, code_import.owner)
        self.assertNotEqual(owner, code_import.registrant)

    def test_new_normalises(self):
        # The source is stored in its normal form, and is found by it.
        code_import = self.new(url="HTTPS://Git.Example.org:443/terminal/")
        self.assertEqual(URL, code_import.url)
        self.assertIs(code_import, self.imports.getBySource(Source(url=URL)))

    def test_new_refused_writes_nothing(self):
        # Whatever is refused, no row is left behind.
        for error, values in (
            (InvalidTargetName, {"target": "terminal"}),
            (InvalidTargetName, {"target": "gnome/terminal.git"}),
            (InvalidSource, {"url": None}),
            (InvalidSource, {"url": "nonsense"}),
            (InvalidSource, {"cvs_root": "/cvs"}),
            (ForbiddenSource, {"url": "https://joe:secret@example.org/a"}),
            (ForbiddenSource, {"url": "ssh://example.org/a"}),
            (ForbiddenSource, {"url": "/srv/a"}),
            (ForbiddenSource, {"url": "http://127.0.0.1/a"}),
            (UnsupportedSourceType, {"rcs_type": None}),
        ):
            with self.subTest(values), self.assertRaises(error) as caught:
                self.new(**values)
            self.assertNotIn("secret", str(caught.exception))
        for table in ("codeimport", "gitrepository", "codeimportjob", "codeimportevent"):
            self.assertEqual(0, self.count(table), table)

    def test_new_local_source(self):
        # Either the caller or the configuration allows sources on this machine.
        self.assertEqual("/srv/a", self.new(url="/srv/a", allow_local=True).url)
        self.push_config("codeimport", allow_local_sources="yes")
        self.assertEqual("/srv/b", self.new("a/b", url="/srv/b").url)

    def test_new_refused_host(self):
        # Neither the hosts of the configuration nor this site itself are imported from.
        self.push_config("codehosting", blacklisted_hostnames="bad.example, worse.example")
        self.push_config("vhost.mainsite", hostname="us.example")
        for host in ("bad.example", "git.worse.example", "us.example"):
            with self.subTest(host), self.assertRaises(ForbiddenSource):
                self.new(url=f"https://{host}/a")

    def test_new_source_taken(self):
        # A source is imported once; the message says under which name.
        self.new()
        with self.assertRaisesRegex(SourceTaken, f"{URL} is imported already, as gnome/terminal"):
            self.new("other/name", url=URL + "/")
        self.assertEqual(1, self.count("gitrepository"))

    def test_new_cvs_source_taken(self):
        # The modules of one CVS root are different sources.
        root = ":pserver:anonymous@cvs.example.org:/cvs"
        self.new("a/one", CVS, None, cvs_root=root, cvs_module="one")
        self.new("a/two", CVS, None, cvs_root=root, cvs_module="two")
        with self.assertRaisesRegex(SourceTaken, "/cvs one is imported already, as a/one"):
            self.new("a/three", CVS, None, cvs_root=root, cvs_module="one")

    def test_new_target_taken(self):
        # Names that differ by case alone would be one folder on some systems.
        self.new()
        for target in ("gnome/terminal", "GNOME/Terminal"):
            with self.assertRaisesRegex(TargetTaken, f"{target} belongs to the import of {URL}"):
                self.new(target, url="https://git.example.org/other")
        self.assertEqual(1, self.count("codeimport"))

    def test_new_source_of_other_type(self):
        # A URL has one import, whatever the types.
        self.new()
        with self.assertRaises(SourceTaken):
            self.new("a/b", RevisionControlSystems.HG)


class TestFinders(DomainTestCase):
    """The other methods of `ICodeImportSet`."""

    def test_get(self):
        # An import is known by its number.
        code_import = self.factory.makeCodeImport()
        self.assertIs(code_import, self.imports.get(code_import.id))
        with self.assertRaisesRegex(NoSuchCodeImport, "no import 4711"):
            self.imports.get(4711)

    def test_getByTargetName(self):
        # A target is found by its name, in whatever case.
        code_import = self.factory.makeCodeImport(target="Gnome/Terminal")
        self.assertIs(code_import, self.imports.getByTargetName("gnome/TERMINAL"))
        self.assertIs(code_import, self.imports.getByGitRepository(code_import.target))
        self.assertIs(code_import, code_import.target.code_import)
        self.assertIsNone(self.imports.getByTargetName("gnome/other"))

    def test_getByTargetName_strange(self):
        # What can be no name is the name of nothing.
        for name in ("", "a/\0", "\ud800/x", "x" * 10_000):
            with self.subTest(repr(name)[:20]):
                self.assertIsNone(self.imports.getByTargetName(name))

    def test_getBySource(self):
        # A CVS source is found by root and module.
        code_import = self.factory.makeCodeImport(rcs_type=CVS)
        source = Source(cvs_root=code_import.cvs_root, cvs_module=code_import.cvs_module)
        self.assertIs(code_import, self.imports.getBySource(source))
        other = Source(cvs_root=code_import.cvs_root, cvs_module="other")
        self.assertIsNone(self.imports.getBySource(other))

    def test_search(self):
        # Filters narrow the list, together; the order is that of registration.
        one = self.factory.makeCodeImport()
        two = self.factory.makeCodeImport(rcs_type=CVS)
        three = self.factory.makeCodeImport(review_status=SUSPENDED)
        self.assertEqual([one, two, three], list(self.imports.search()))
        self.assertEqual([three], list(self.imports.search(SUSPENDED)))
        self.assertEqual([two], list(self.imports.search(rcs_type=CVS)))
        self.assertEqual([], list(self.imports.search(SUSPENDED, CVS)))

    def test_getImportDetailsForDisplay(self):
        # A source in words is what people would type.
        git, cvs = self.factory.makeCodeImport(url=URL), self.factory.makeCodeImport(rcs_type=CVS)
        self.assertEqual(URL, git.getImportDetailsForDisplay())
        self.assertEqual(f"{cvs.cvs_root} {cvs.cvs_module}", cvs.getImportDetailsForDisplay())


class TestIntervals(DomainTestCase):
    """What the database and the configuration say of intervals and failures."""

    def test_effective_update_interval_default(self):
        # Each type has a default of its own.
        keys = {"CVS": "cvs", "SVN": "subversion", "BZR_SVN": "subversion", "GIT": "git"}
        keys |= {"HG": "hg", "BZR": "bzr"}
        for number, rcs_type in enumerate(RevisionControlSystems.items, start=100):
            self.push_config("codeimport", **{f"default_interval_{keys[rcs_type.name]}": number})
            code_import = self.factory.makeCodeImport(rcs_type=rcs_type)
            self.assertEqual(timedelta(seconds=number), code_import.effective_update_interval)

    def test_effective_update_interval_own(self):
        # An import's own interval wins.
        code_import = self.factory.makeCodeImport()
        code_import.updateFromData({"update_interval": timedelta(days=2)}, None)
        self.assertEqual(timedelta(days=2), code_import.effective_update_interval)

    def test_consecutive_failure_count(self):
        # Results since the last success of any kind are counted, whatever they are.
        code_import, machine = self.factory.makeCodeImport(), self.factory.makeMachine()
        self.push_config("codeimport", consecutive_failure_limit=100)
        expected = 0
        self.assertEqual(0, code_import.consecutive_failure_count)
        for status in (FAILURE, *CodeImportResultStatus.items, FAILURE):
            self.factory.makeResult(code_import, status, machine=machine)
            expected = 0 if status in CodeImportResultStatus.successes else expected + 1
            self.assertEqual(expected, code_import.consecutive_failure_count, status)

    def test_consecutive_failure_count_is_its_own(self):
        # The failures of other imports do not count.
        self.factory.makeResult(status=FAILURE)
        self.assertEqual(0, self.factory.makeCodeImport().consecutive_failure_count)


class TestDelete(DomainTestCase):
    """See `ICodeImportSet.delete`."""

    def test_delete(self):
        # Job, results and logs go; the target and the events stay.
        job = self.factory.makeRunningJob()
        code_import, import_id = job.code_import, job.code_import.id
        log = getUtility(ILogStore).create("a.log", b"output")
        self.workflow.finishJob(job, SUCCESS, log)
        self.imports.delete(code_import, self.factory.makePerson("deleter"))
        for table in ("codeimport", "codeimportjob", "codeimportresult", "logfile"):
            self.assertEqual(0, self.count(table), table)
        self.assertEqual(1, self.count("gitrepository"))
        names = self.event_names()
        self.assertEqual(
            ["CREATE", "START", "FINISH", "DELETE"], [name for name in names if name != "ONLINE"]
        )
        event = self.last_event()
        self.assertEqual("deleter", event.person.name)
        self.assertEqual(str(import_id), self.data_of(event)["CODE_IMPORT"])
        self.assertEqual((None, import_id), (event.code_import, event.code_import_id))

    def test_delete_running(self):
        # The machine has one job less; its worker finds no job.
        job = self.factory.makeRunningJob()
        machine, job_id = job.machine, job.id
        self.factory.makeRunningJob(machine=machine)
        self.imports.delete(job.code_import)
        self.assertEqual(1, machine.running)
        self.assert_counters_right()
        self.assertIsNone(self.jobs.getById(job_id))

    def test_delete_waiting(self):
        # No machine is touched by the end of a job that waited.
        machine = self.factory.makeRunningJob().machine
        self.imports.delete(self.factory.makeCodeImport())
        self.assertEqual(1, machine.running)
        self.assertEqual(1, self.count("codeimportjob"))

    def test_delete_keeps_others(self):
        # Other imports keep their results and logs.
        log = getUtility(ILogStore).create("a.log", b"output")
        self.workflow.finishJob(self.factory.makeRunningJob(), SUCCESS, log)
        self.imports.delete(self.factory.makeCodeImport())
        self.assertEqual([1, 1], [self.count("codeimportresult"), self.count("logfile")])

    def test_delete_twice(self):
        # What is gone cannot be deleted, and no second event says so.
        code_import = self.factory.makeCodeImport()
        self.imports.delete(code_import)
        with self.assertRaises(NoSuchCodeImport):
            self.imports.delete(code_import)
        self.assertEqual(["CREATE", "DELETE"], self.event_names())

    def test_target_of_deleted_import(self):
        # The same source may have its target again, in whatever case; the history fits.
        code_import = self.factory.makeCodeImport(target="a/b", url=URL)
        target = code_import.target
        self.imports.delete(code_import)
        self.assertIsNone(target.code_import)
        again = self.factory.makeCodeImport(target="A/B", url=URL)
        self.assertEqual((target, "a/b"), (again.target, again.target.unique_name))
        self.assertEqual(again, target.code_import)
        self.assert_due_in(timedelta(0), again.import_job)

    def test_target_of_deleted_import_for_other_source(self):
        # Another source would overwrite the history of the first.
        self.imports.delete(self.factory.makeCodeImport(target="a/b", url=URL))
        with self.assertRaisesRegex(TargetTaken, f"belongs to the import of {URL}"):
            self.factory.makeCodeImport(target="a/b", url=URL + "2")
        # But the source may have another target.
        self.assertEqual("c/d", self.factory.makeCodeImport("c/d", URL).target.unique_name)


class TestGitRepositorySet(DomainTestCase):
    """See `IGitRepositorySet`."""

    def test_ensure_malformed(self):
        # Names are checked here, whoever calls.
        for name in ("a", "a/b.lock", "../a"):
            with self.subTest(name), self.assertRaises(InvalidTargetName):
                getUtility(IGitRepositorySet).ensure(self.factory.makePerson(), name, URL)

    def test_ensure_attributes(self):
        # A target knows who registered its name, and for what.
        person = self.factory.makePerson()
        target = getUtility(IGitRepositorySet).ensure(person, "a/b", URL)
        self.assertEqual((person, URL), (target.registrant, target.source))
        self.assertIsNone(target.code_import)

    def test_every_refusal_is_a_CodeImportError(self):
        # One class catches whatever can be refused here.
        self.assertTrue(issubclass(TargetTaken, CodeImportError))
