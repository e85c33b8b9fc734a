"""Results: the corners."""

from datetime import UTC, datetime, timedelta

from zope.component import getUtility
from zope.schema import getFieldNames

from lp.code.enums import CodeImportResultStatus
from lp.code.interfaces.codeimportresult import ICodeImportResult, ICodeImportResultSet
from tests.integration.domain import DomainTestCase

FAILURE = CodeImportResultStatus.FAILURE
SUCCESS = CodeImportResultStatus.SUCCESS
DAY = 86_400


class TestResultSet(DomainTestCase):
    """See `ICodeImportResultSet`."""

    def setUp(self):
        super().setUp()
        self.results = getUtility(ICodeImportResultSet)

    def new(self, code_import=None, status=SUCCESS, **values):
        """Record a run that began an hour ago."""
        return self.results.new(
            code_import or self.factory.makeCodeImport(),
            self.factory.makeMachine(),
            None,
            "tail",
            None,
            status,
            self.now() - timedelta(hours=1),
            **values,
        )

    def test_new(self):
        # A run ends now, unless somebody says otherwise.
        result = self.new()
        self.assertEqual((self.now(), self.now()), (result.date_created, result.date_job_finished))
        self.assertEqual(timedelta(hours=1), result.job_duration)
        self.assertIsNone(result.requesting_user)

    def test_new_at_another_time(self):
        # The end is what was created.
        moment = datetime(2030, 1, 1, tzinfo=UTC)
        result = self.new(date_job_finished=moment)
        self.assertEqual((moment, moment), (result.date_created, result.date_job_finished))

    def test_results_newest_first(self):
        # The results of an import come in the order of its runs, the last one first.
        code_import = self.factory.makeCodeImport()
        made = [self.new(code_import, status) for status in (SUCCESS, FAILURE, SUCCESS)]
        self.new()
        self.assertEqual(made[::-1], list(code_import.results))

    def test_field_names(self):
        # The original's names, all of them.
        names = {"code_import", "date_created", "date_job_finished", "date_job_started", "id"}
        names |= {"job_duration", "log_excerpt", "log_file", "machine", "requesting_user"}
        self.assertEqual(names | {"status"}, set(ICodeImportResult.names()))
        self.assertTrue(
            all(ICodeImportResult[name].readonly for name in getFieldNames(ICodeImportResult))
        )

    def test_getStatusOfJob(self):
        # A job that is gone is remembered for a while.
        self.new(job_id=7)
        self.assertEqual(SUCCESS, self.results.getStatusOfJob(7, DAY))
        self.factory.letTimePass(timedelta(seconds=DAY))
        self.assertIsNone(self.results.getStatusOfJob(7, DAY))
        self.assertEqual(SUCCESS, self.results.getStatusOfJob(7, DAY + 1))

    def test_getStatusOfJob_unknown(self):
        # A job that never was has no result; nor has one that runs.
        self.new()
        job = self.factory.makeRunningJob()
        self.assertIsNone(self.results.getStatusOfJob(4711, DAY))
        self.assertIsNone(self.results.getStatusOfJob(job.id, DAY))
