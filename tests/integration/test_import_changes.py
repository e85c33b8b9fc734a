"""Imports that are changed or requested: the corners."""

from datetime import timedelta

import transaction

from lp.code.enums import (
    CodeImportJobState,
    CodeImportResultStatus,
    CodeImportReviewStatus,
    RevisionControlSystems,
)
from lp.code.errors import (
    CodeImportAlreadyRequested,
    CodeImportAlreadyRunning,
    CodeImportNotFailing,
    CodeImportNotInReviewedState,
    ForbiddenSource,
    InvalidArgument,
    InvalidSource,
    InvalidUpdateInterval,
    NoSuchCodeImport,
    SourceTaken,
)
from lp.code.policy.source import Source
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


class TestUpdateFromData(DomainTestCase):
    """See `ICodeImport.updateFromData`."""

    def test_updateFromData_suspend(self):
        # A waiting job goes with the approval.
        code_import, person = self.factory.makeCodeImport(), self.factory.makePerson()
        event = code_import.updateFromData({"review_status": SUSPENDED}, person)
        self.assertIsNone(code_import.import_job)
        self.assertEqual(SUSPENDED, code_import.review_status)
        self.assertEqual(person, event.person)
        data = self.data_of(event)
        self.assertEqual("SUSPENDED", data["REVIEW_STATUS"])
        self.assertEqual("REVIEWED", data["OLD_REVIEW_STATUS"])

    def test_updateFromData_approve(self):
        # A job comes with the approval.
        code_import = self.factory.makeCodeImport(review_status=NEW)
        code_import.updateFromData({"review_status": REVIEWED}, None)
        self.assert_due_in(timedelta(0), code_import.import_job)

    def test_updateFromData_approve_again(self):
        # What is approved keeps its job, and nothing has happened.
        code_import = self.factory.makeCodeImport()
        job = code_import.import_job
        self.assertIsNone(code_import.updateFromData({"review_status": REVIEWED}, None))
        self.assertIs(job, code_import.import_job)
        self.assertEqual(["CREATE"], self.event_names(code_import))

    def test_updateFromData_suspend_running(self):
        # A job that runs stays; approving again before it ends makes no second one.
        job = self.factory.makeRunningJob()
        code_import = job.code_import
        code_import.updateFromData({"review_status": SUSPENDED}, None)
        self.assertEqual(job, code_import.import_job)
        code_import.updateFromData({"review_status": REVIEWED}, None)
        self.assertEqual(1, self.count("codeimportjob"))
        self.assertEqual(CodeImportJobState.RUNNING, code_import.import_job.state)

    def test_updateFromData_counts_from_last_run(self):
        # The job of an import that is approved again is due when it would have been.
        code_import = self.factory.makeCodeImport()
        self.factory.makeResult(code_import)
        code_import.updateFromData({"review_status": SUSPENDED}, None)
        self.factory.letTimePass(timedelta(hours=2))
        code_import.updateFromData({"review_status": REVIEWED}, None)
        self.assert_due_in(timedelta(hours=4), code_import.import_job)

    def test_updateFromData_nothing(self):
        # No change is no event.
        code_import = self.factory.makeCodeImport()
        self.assertIsNone(code_import.updateFromData({}, None))
        self.assertIsNone(code_import.updateFromData({"owner": code_import.owner}, None))

    def test_updateFromData_people(self):
        # People and intervals leave their old values in the event.
        code_import, person = self.factory.makeCodeImport(), self.factory.makePerson()
        owner = code_import.owner
        values = {"owner": person, "assignee": person, "update_interval": timedelta(hours=1)}
        data = self.data_of(code_import.updateFromData(values, None))
        self.assertEqual((str(person.id), str(owner.id)), (data["OWNER"], data["OLD_OWNER"]))
        self.assertEqual((str(person.id), None), (data["ASSIGNEE"], data["OLD_ASSIGNEE"]))
        self.assertEqual("1:00:00", data["UPDATE_INTERVAL"])
        self.assertIsNone(data["OLD_UPDATE_INTERVAL"])
        self.assertNotIn("OLD_URL", data)

    def test_updateFromData_what_cannot_be_changed(self):
        # Names that are no attributes, and attributes that are not to be set, are refused.
        code_import = self.factory.makeCodeImport()
        for name in ("nothing", "id", "date_last_successful", "source_state", "rcs_type"):
            with self.subTest(name), self.assertRaisesRegex(InvalidArgument, name):
                code_import.updateFromData({name: 1}, None)

    def test_updateFromData_refused_changes_nothing(self):
        # Of several changes, one that is refused takes the others with it.
        code_import = self.factory.makeCodeImport(url=URL)
        other = self.factory.makePerson()
        for error, values in (
            (InvalidUpdateInterval, {"url": URL + "2", "update_interval": timedelta(0)}),
            (InvalidUpdateInterval, {"owner": other, "update_interval": timedelta(days=999)}),
            (InvalidSource, {"owner": other, "url": "nonsense"}),
            (ForbiddenSource, {"owner": other, "url": "file:///etc"}),
            (InvalidSource, {"owner": other, "cvs_root": "/cvs"}),
        ):
            with self.subTest(values), self.assertRaises(error):
                code_import.updateFromData(values, None)
            transaction.commit()
            self.assertEqual(URL, code_import.url)
            self.assertEqual(code_import.registrant, code_import.owner)
            self.assertEqual(URL, code_import.target.source)

    def test_updateFromData_of_deleted_import(self):
        # An import that has been deleted meanwhile cannot be changed.
        code_import = self.factory.makeCodeImport()
        transaction.commit()
        self.imports.delete(self.imports.get(code_import.id))
        with self.assertRaises(NoSuchCodeImport):
            code_import.updateFromData({"review_status": SUSPENDED}, None)


class TestUpdateURL(DomainTestCase):
    """See `ICodeImport.updateURL`."""

    def test_updateURL(self):
        # The new URL is stored in its normal form; the target is still this import's.
        code_import, person = self.factory.makeCodeImport(url=URL), self.factory.makePerson()
        event = code_import.updateURL("https://NEW.example.org/x/", person)
        self.assertEqual("https://new.example.org/x", code_import.url)
        self.assertEqual("https://new.example.org/x", code_import.target.source)
        data = self.data_of(event)
        self.assertEqual(("https://new.example.org/x", URL), (data["URL"], data["OLD_URL"]))

    def test_updateURL_forgets_source_state(self):
        # The fingerprint was that of another source.
        job = self.factory.makeRunningJob()
        code_import = job.code_import
        self.workflow.finishJob(job, SUCCESS, None, "abc")
        self.assertEqual("abc", code_import.source_state)
        code_import.updateURL("https://new.example.org/x", None)
        self.assertEqual("", code_import.source_state)

    def test_updateURL_same(self):
        # The present URL is no change, in whatever spelling; nothing is forgotten.
        job = self.factory.makeRunningJob(self.factory.makeCodeImport(url=URL))
        self.workflow.finishJob(job, SUCCESS, None, "abc")
        code_import = self.imports.getBySource(Source(url=URL))
        for url in (URL, URL + "/"):
            self.assertIsNone(code_import.updateURL(url, None))
            self.assertEqual((URL, "abc"), (code_import.url, code_import.source_state))

    def test_updateURL_taken(self):
        # A URL of another import is refused, and nothing is changed.
        other = self.factory.makeCodeImport(url=URL)
        code_import = self.factory.makeCodeImport()
        before = code_import.url
        with self.assertRaisesRegex(SourceTaken, f"{URL} is imported already, as ") as caught:
            code_import.updateURL(URL, None)
        self.assertEqual(other.target.unique_name, caught.exception.target)
        transaction.commit()
        self.assertEqual((before, before), (code_import.url, code_import.target.source))
        self.assertEqual(["CREATE"], self.event_names(code_import))
        self.assertIsNotNone(code_import.import_job)

    def test_updateURL_of_cvs_import(self):
        # A CVS source has no URL.
        with self.assertRaises(InvalidSource):
            self.factory.makeCodeImport(rcs_type=CVS).updateURL(URL, None)

    def test_updateURL_keeps_job(self):
        # The job waits as before.
        code_import = self.factory.makeCodeImport()
        job = code_import.import_job
        code_import.updateURL("https://new.example.org/x", None)
        self.assertEqual(job, code_import.import_job)


class TestRequestImport(DomainTestCase):
    """See `ICodeImport.requestImport`."""

    def test_requestImport(self):
        # A job that would be due later is due now.
        code_import, person = self.factory.makeCodeImport(), self.factory.makePerson()
        self.factory.makeResult(code_import)
        code_import.requestImport(person)
        self.assertEqual(person, code_import.import_job.requesting_user)
        self.assert_due_in(timedelta(0), code_import.import_job)

    def test_requestImport_again(self):
        # A second request is passed over, unless the caller wants to know.
        code_import, person = self.factory.makeCodeImport(), self.factory.makePerson()
        code_import.requestImport(person)
        code_import.requestImport(self.factory.makePerson())
        self.assertEqual(person, code_import.import_job.requesting_user)
        self.assertEqual(["CREATE", "REQUEST"], self.event_names(code_import))
        with self.assertRaises(CodeImportAlreadyRequested) as caught:
            code_import.requestImport(person, error_if_already_requested=True)
        self.assertEqual(person, caught.exception.requesting_user)

    def test_requestImport_running(self):
        # What runs cannot be requested.
        code_import = self.factory.makeRunningJob().code_import
        with self.assertRaises(CodeImportAlreadyRunning):
            code_import.requestImport(self.factory.makePerson())

    def test_requestImport_not_reviewed(self):
        # The message tells the status, and the one that is needed.
        code_import = self.factory.makeCodeImport(review_status=SUSPENDED)
        with self.assertRaisesRegex(CodeImportNotInReviewedState, "SUSPENDED.*while .* REVIEWED"):
            code_import.requestImport(self.factory.makePerson())


class TestTryFailingImportAgain(DomainTestCase):
    """See `ICodeImport.tryFailingImportAgain`."""

    def test_tryFailingImportAgain(self):
        # The import is approved and requested.
        code_import, person = self.factory.makeFailingImport(), self.factory.makePerson()
        code_import.tryFailingImportAgain(person)
        self.assertEqual(REVIEWED, code_import.review_status)
        self.assertEqual(person, code_import.import_job.requesting_user)
        self.assert_due_in(timedelta(0), code_import.import_job)
        self.assertEqual(["MODIFY", "REQUEST"], self.event_names(code_import)[-2:])

    def test_tryFailingImportAgain_otherwise(self):
        # Nothing else is tried again.
        for status in (NEW, INVALID, REVIEWED, SUSPENDED):
            code_import = self.factory.makeCodeImport(review_status=status)
            with self.assertRaisesRegex(CodeImportNotFailing, status.name):
                code_import.tryFailingImportAgain(self.factory.makePerson())

    def test_tryFailingImportAgain_running(self):
        # A run that was going on when the import was set aside is try enough.
        job = self.factory.makeRunningJob()
        code_import = job.code_import
        code_import.updateFromData({"review_status": FAILING}, None)
        code_import.tryFailingImportAgain(self.factory.makePerson())
        self.assertEqual((REVIEWED, job), (code_import.review_status, code_import.import_job))
        self.assertIsNone(code_import.import_job.requesting_user)
