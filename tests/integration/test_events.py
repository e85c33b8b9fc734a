"""Events: the corners."""

from datetime import UTC, datetime, timedelta

from lp.code.enums import (
    CodeImportEventDataType,
    CodeImportEventType,
    CodeImportMachineOfflineReason,
    CodeImportReviewStatus,
    RevisionControlSystems,
)
from lp.code.errors import InvalidArgument, WrongModifyToken
from lp.code.interfaces.codeimportevent import ICodeImportModifyToken
from lp.testing import verifyObject
from tests.integration.domain import DomainTestCase

SUSPENDED = CodeImportReviewStatus.SUSPENDED


class TestMakers(DomainTestCase):
    """Each maker of `ICodeImportEventSet`: what its event points to, and what it says."""

    def assert_event(self, event, name, code_import=None, person=None, machine=None, **data):
        """Assert everything of an event."""
        self.assertEqual(CodeImportEventType.items[name], event.event_type)
        self.assertEqual(self.now(), event.date_created)
        self.assertEqual((code_import, person), (event.code_import, event.person))
        self.assertEqual(machine, event.machine)
        self.assertEqual(data, self.data_of(event))

    def snapshot_of(self, code_import):
        """Return what events say of a new import from a URL."""
        return {
            "CODE_IMPORT": str(code_import.id),
            "REVIEW_STATUS": "REVIEWED",
            "OWNER": str(code_import.owner.id),
            "ASSIGNEE": None,
            "UPDATE_INTERVAL": None,
            "URL": code_import.url,
        }

    def test_newCreate(self):
        # All values, those that are not set included.
        code_import, person = self.factory.makeCodeImport(), self.factory.makePerson()
        event = self.events.newCreate(code_import, person)
        self.assert_event(event, "CREATE", code_import, person, **self.snapshot_of(code_import))

    def test_newCreate_cvs(self):
        # A CVS source has a root and a module in place of a URL.
        code_import = self.factory.makeCodeImport(rcs_type=RevisionControlSystems.CVS)
        data = self.data_of(self.events.newCreate(code_import, code_import.owner))
        self.assertEqual(code_import.cvs_root, data["CVS_ROOT"])
        self.assertEqual(code_import.cvs_module, data["CVS_MODULE"])
        self.assertNotIn("URL", data)

    def test_newModify(self):
        # All values, and the previous ones of those that changed.
        code_import, person = self.factory.makeCodeImport(), self.factory.makePerson()
        token = self.events.beginModify(code_import)
        data = self.snapshot_of(code_import) | {"OLD_ASSIGNEE": None, "ASSIGNEE": str(person.id)}
        code_import.assignee = person
        event = self.events.newModify(code_import, person, token)
        self.assert_event(event, "MODIFY", code_import, person, **data)

    def test_newModify_nothing(self):
        # No change, no event.
        code_import = self.factory.makeCodeImport()
        token = self.events.beginModify(code_import)
        self.assertIsNone(self.events.newModify(code_import, None, token))

    def test_newModify_by_nobody(self):
        # The system itself is nobody.
        code_import = self.factory.makeCodeImport()
        event = code_import.updateFromData({"review_status": SUSPENDED}, None)
        self.assertIsNone(event.person)

    def test_newModify_with_wrong_token(self):
        # A token holds for its import only.
        code_import, other = self.factory.makeCodeImport(), self.factory.makeCodeImport()
        token = self.events.beginModify(other)
        with self.assertRaisesRegex(WrongModifyToken, f"import {other.id}.* {code_import.id}"):
            self.events.newModify(code_import, None, token)

    def test_beginModify(self):
        # A token provides its interface, and does not follow the import.
        code_import = self.factory.makeCodeImport()
        token = self.events.beginModify(code_import)
        self.assertTrue(verifyObject(ICodeImportModifyToken, token))
        self.assertEqual(token, self.events.beginModify(code_import))
        code_import.review_status = SUSPENDED
        self.assertNotEqual(token, self.events.beginModify(code_import))

    def test_newDelete(self):
        # The last values of what is deleted.
        code_import, person = self.factory.makeCodeImport(), self.factory.makePerson()
        event = self.events.newDelete(code_import, person)
        self.assert_event(event, "DELETE", code_import, person, **self.snapshot_of(code_import))

    def test_newRequest(self):
        # Who asked, and for what.
        code_import, person = self.factory.makeCodeImport(), self.factory.makePerson()
        event = self.events.newRequest(code_import, person)
        self.assert_event(event, "REQUEST", code_import, person, CODE_IMPORT=str(code_import.id))

    def test_events_of_machines(self):
        # Messages are there if they say something.
        machine, person = self.factory.makeMachine(), self.factory.makePerson()
        reason = CodeImportMachineOfflineReason.STOPPED
        self.assert_event(self.events.newOnline(machine), "ONLINE", machine=machine)
        event = self.events.newOnline(machine, person, "why")
        self.assert_event(event, "ONLINE", None, person, machine, MESSAGE="why")
        event = self.events.newOffline(machine, reason, person, "")
        self.assert_event(event, "OFFLINE", None, person, machine, OFFLINE_REASON="STOPPED")
        event = self.events.newQuiesce(machine, person, "why")
        self.assert_event(event, "QUIESCE", None, person, machine, MESSAGE="why")

    def test_newOnline_at_another_time(self):
        # Whoever rewrites history may say when.
        moment = datetime(2007, 12, 5, tzinfo=UTC)
        event = self.events.newOnline(self.factory.makeMachine(), _date_created=moment)
        self.assertEqual(moment, event.date_created)

    def test_newOffline_with_other_reason(self):
        # A reason is one of the enumeration.
        for reason in (None, "STOPPED", 110, SUSPENDED):
            with self.subTest(reason), self.assertRaises(InvalidArgument):
                self.events.newOffline(self.factory.makeMachine(), reason)

    def test_events_of_jobs(self):
        # Import and machine say it all.
        code_import, machine = self.factory.makeCodeImport(), self.factory.makeMachine()
        for maker, name in (("newStart", "START"), ("newFinish", "FINISH"), ("newKill", "KILL")):
            event = getattr(self.events, maker)(code_import, machine)
            self.assert_event(event, name, code_import, machine=machine)

    def test_newReclaim(self):
        # The id of the job that was lost, as text.
        code_import, machine = self.factory.makeCodeImport(), self.factory.makeMachine()
        event = self.events.newReclaim(code_import, machine, 7)
        self.assert_event(event, "RECLAIM", code_import, machine=machine, RECLAIMED_JOB_ID="7")

    def test_newReclaim_without_id(self):
        # A job's id is a number.
        code_import, machine = self.factory.makeCodeImport(), self.factory.makeMachine()
        for job_id in (None, "7", True):
            with self.subTest(job_id), self.assertRaises(InvalidArgument):
                self.events.newReclaim(code_import, machine, job_id)


class TestLists(DomainTestCase):
    """Events, listed."""

    def test_items_in_order(self):
        # The data come in the order of their types.
        code_import = self.factory.makeCodeImport()
        event = code_import.updateFromData({"review_status": SUSPENDED}, None)
        types = [data_type for data_type, _ in event.items()]
        self.assertEqual(sorted(types, key=lambda item: item.value), types)
        self.assertIn(CodeImportEventDataType.OLD_REVIEW_STATUS, types)

    def test_getAll(self):
        # Everything that happened, the oldest first.
        self.factory.makeRunningJob()
        self.assertEqual(["CREATE", "ONLINE", "START"], self.event_names())

    def test_getEventsForCodeImport(self):
        # What happened to others is left out; the time decides, then the number.
        code_import = self.factory.makeCodeImport()
        self.factory.makeRunningJob()
        self.factory.letTimePass(timedelta(hours=1))
        code_import.updateFromData({"review_status": SUSPENDED}, None)
        self.assertEqual(["CREATE", "MODIFY"], self.event_names(code_import))

    def test_getEventsForMachine(self):
        # The newest first.
        job = self.factory.makeRunningJob()
        self.factory.makeRunningJob()
        names = [event.event_type.name for event in self.events.getEventsForMachine(job.machine)]
        self.assertEqual(["START", "ONLINE"], names)
