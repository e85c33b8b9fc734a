"""The tables: what they refuse by themselves, how they come to be, and how the queue is read."""

import itertools
from contextlib import closing, contextmanager
from datetime import timedelta

import psycopg2
import transaction
from psycopg2 import errors
from psycopg2.extensions import make_dsn
from zope.component import getUtility

from lp.code.enums import CodeImportJobState
from lp.code.model.codeimportjob import MOST_URGENT_JOB
from lp.services.database.interfaces import IDatabaseSchema
from lp.services.database.stores import close_stores, main_store, set_database
from lp.testing.layers import DatabaseLayer
from tests.integration.domain import DomainTestCase

QUEUE_SIZE = 20_000

# Everything about a schema that can differ, in words.
DESCRIPTION = """
    SELECT 'column', table_name || '.' || column_name,
           concat_ws(' ', data_type, is_nullable, column_default, is_identity)
      FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL
    SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL
    SELECT 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
      FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'option', oid::regclass::text, array_to_string(reloptions, ',')
      FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
    UNION ALL
    SELECT 'storage', attrelid::regclass || '.' || attname, attstorage::text
      FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
     WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0
    UNION ALL
    SELECT 'patch', version::text, '' FROM patch
    ORDER BY 1, 2, 3
"""

FILL_QUEUE = """
    INSERT INTO person (name, display_name) VALUES ('ann', 'Ann');
    INSERT INTO gitrepository (unique_name, registrant, source)
    SELECT 'example/' || n, p.id, 'https://vcs.example.org/' || n
      FROM generate_series(1, {size}) AS n, person AS p;
    INSERT INTO codeimport (git_repository, registrant, owner, review_status, rcs_type, url)
    SELECT id, registrant, registrant, 20, 4, source FROM gitrepository;
    INSERT INTO codeimportjob (code_import, state, date_due, requesting_user)
    SELECT id, 10, CURRENT_TIMESTAMP + (id % 200 - 100) * interval '1 minute',
           CASE WHEN id % 100 = 0 THEN registrant END
      FROM codeimport;
    ANALYZE;
"""


class TestConstraints(DomainTestCase):
    """What the database refuses, whoever writes."""

    def setUp(self):
        super().setUp()
        self.job = self.factory.makeRunningJob()
        self.factory.makePendingJob()
        self.factory.makeResult()
        main_store().flush()

    def assert_refused(self, error, statement, *values):
        """Assert that a statement is refused, and undo what it did to the transaction."""
        store = main_store()
        store.execute("SAVEPOINT attempt")
        with self.subTest(statement, values=values), self.assertRaises(error):
            store.execute(statement, values, noresult=True)
        store.execute("ROLLBACK TO SAVEPOINT attempt")

    def test_states_of_jobs(self):
        # Of all ways to fill the columns of a run, each state has exactly its own.
        values = {"machine": "1", "ordering": "1", "logtail": "''"}
        values |= dict.fromkeys(("heartbeat", "date_started"), "CURRENT_TIMESTAMP")
        allowed = {10: "", 20: "machine ordering", 30: "machine heartbeat date_started logtail"}
        choices = list(itertools.product((False, True), repeat=len(values)))
        for state, flags in itertools.product((10, 20, 30, 40), choices):
            filled = set(itertools.compress(values, flags))
            assignments = ", ".join(
                f"{column} = {value if column in filled else 'NULL'}"
                for column, value in values.items()
            )
            statement = f"UPDATE codeimportjob SET state = {state}, {assignments} WHERE id = 1"
            if state in allowed and filled == set(allowed[state].split()):
                main_store().execute(statement, noresult=True)
            else:
                self.assert_refused(errors.CheckViolation, statement)

    def test_one_job_for_each_import(self):
        # The second job of an import is refused.
        self.assert_refused(
            errors.UniqueViolation,
            "INSERT INTO codeimportjob (code_import, state, date_due)"
            " SELECT code_import, 10, date_due FROM codeimportjob",
        )

    def test_one_result_for_each_job(self):
        # A job ends once; results without a job's number are history from elsewhere.
        copy = (
            "INSERT INTO codeimportresult (code_import, machine, status, job)"
            " SELECT code_import, machine, status, {} FROM codeimportresult"
        )
        self.assert_refused(errors.UniqueViolation, copy.format("job"))
        for _ in range(2):
            main_store().execute(copy.format("NULL"), noresult=True)

    def test_machines(self):
        # A counter is never negative, a limit is in range, a hostname is one.
        for assignment in (
            "running = -1",
            "worker_limit = -1",
            "worker_limit = 10001",
            "state = 40",
            "hostname = ''",
            f"hostname = '{'x' * 254}'",
        ):
            self.assert_refused(
                errors.CheckViolation, f"UPDATE codeimportmachine SET {assignment}"
            )
        self.assert_refused(
            errors.UniqueViolation, "UPDATE codeimportmachine SET hostname = 'same'"
        )
        self.assert_refused(errors.NotNullViolation, "UPDATE codeimportmachine SET running = NULL")

    def test_sources(self):
        # A source is a URL, or a root and a module, as its type has it.
        for rcs_type, url, root, module, good in (
            (1, None, "r", "m", True),
            (1, "u", "r", "m", False),
            (1, None, "r", "", False),
            (1, None, "", "m", False),
            (1, None, None, "m", False),
            (4, "u", None, None, True),
            (2, "u", None, None, True),
            (4, "", None, None, False),
            (4, None, None, None, False),
            (4, "u", "r", None, False),
            (6, "u", None, "m", False),
            (7, "u", None, None, False),
        ):
            statement = (
                "UPDATE codeimport SET rcs_type = ?, url = ?, cvs_root = ?, cvs_module = ?"
                " WHERE id = 1"
            )
            if good:
                main_store().execute(statement, (rcs_type, url, root, module), noresult=True)
            else:
                self.assert_refused(errors.CheckViolation, statement, rcs_type, url, root, module)

    def test_imports(self):
        # One target, one source; a status that there is; an interval that is one.
        self.assert_refused(errors.UniqueViolation, "UPDATE codeimport SET git_repository = 1")
        self.assert_refused(errors.UniqueViolation, "UPDATE codeimport SET url = 'same'")
        self.assert_refused(
            errors.UniqueViolation,
            "UPDATE codeimport SET rcs_type = 1, url = NULL, cvs_root = 'r', cvs_module = 'm'",
        )
        self.assert_refused(errors.CheckViolation, "UPDATE codeimport SET review_status = 50")
        for interval in ("0", "-1 hour"):
            self.assert_refused(
                errors.CheckViolation, f"UPDATE codeimport SET update_interval = '{interval}'"
            )

    def test_targets(self):
        # Names differ by more than case, and have a length.
        store = main_store()
        store.execute("UPDATE gitrepository SET unique_name = 'a/b' WHERE id = 1")
        self.assert_refused(
            errors.UniqueViolation, "UPDATE gitrepository SET unique_name = 'A/B' WHERE id = 2"
        )
        for name in ("", "ab", "x" * 256):
            self.assert_refused(
                errors.CheckViolation, f"UPDATE gitrepository SET unique_name = '{name}'"
            )

    def test_what_is_referred_to_stays(self):
        # Nothing that others refer to can be deleted under them.
        for table in ("person", "gitrepository", "codeimportmachine", "codeimport"):
            self.assert_refused(errors.ForeignKeyViolation, f"DELETE FROM {table}")

    def test_event_data_are_unique(self):
        # An event says each thing once, and takes its data with it.
        self.assert_refused(
            errors.UniqueViolation,
            "INSERT INTO codeimporteventdata (event, data_type)"
            " SELECT event, data_type FROM codeimporteventdata",
        )
        main_store().execute("DELETE FROM codeimportevent", noresult=True)
        self.assertEqual(0, self.count("codeimporteventdata"))

    def test_every_timestamp_has_a_zone(self):
        # No column depends on anybody's time zone.
        zoneless = self.fetch(
            "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public'"
            " AND data_type IN ('timestamp without time zone', 'date', 'time without time zone')"
        )
        self.assertEqual(0, zoneless)

    def test_every_foreign_key_has_an_index(self):
        # Whatever is deleted is looked for in all that may refer to it.
        bare = main_store().execute("""
            SELECT conrelid::regclass || '.' || attname
              FROM pg_constraint
              JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
             WHERE contype = 'f' AND connamespace = 'public'::regnamespace
               AND NOT EXISTS (
                    SELECT 1 FROM pg_index
                     WHERE indrelid = conrelid AND indkey[0] = conkey[1])
             ORDER BY 1
        """)
        # Registrants of targets and holders of jobs are never deleted.
        self.assertEqual(["gitrepository.registrant"], [name for (name,) in bare])


class TestSchema(DomainTestCase):
    """How the tables come to be."""

    def describe(self, dsn):
        """Return all that can be said of a database's schema."""
        with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
            cursor.execute(DESCRIPTION)
            return cursor.fetchall()

    def test_new_database_is_an_upgraded_empty_one(self):
        # There is no other way to make a table than by the patches.
        server = DatabaseLayer.server.dsn
        with closing(psycopg2.connect(make_dsn(server, dbname="postgres"))) as connection:
            connection.autocommit = True
            connection.cursor().execute("CREATE DATABASE empty TEMPLATE template0")
        self.addCleanup(DatabaseLayer.drop_database, "empty")
        schema, empty = getUtility(IDatabaseSchema), make_dsn(server, dbname="empty")
        self.assertEqual(list(range(1, schema.version + 1)), schema.upgrade(empty))
        self.assertEqual(self.describe(DatabaseLayer.dsn), self.describe(empty))
        self.assertEqual([], schema.upgrade(empty))
        schema.check(empty)


class TestOtherTimeZone(DomainTestCase):
    """A database whose own time zone is far from UTC."""

    @contextmanager
    def database_in(self, zone):
        """Use a database with another default time zone."""
        name = "elsewhere"
        dsn = DatabaseLayer.create_database(name)
        with closing(psycopg2.connect(dsn)) as connection:
            connection.autocommit = True
            connection.cursor().execute(f"ALTER DATABASE {name} SET TimeZone = '{zone}'")
        with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW TimeZone")
            self.assertEqual((zone,), cursor.fetchone())
        close_stores()
        set_database(dsn)
        try:
            yield
        finally:
            close_stores()
            set_database(DatabaseLayer.dsn)
            DatabaseLayer.drop_database(name)

    def test_claims_exactly_what_is_due(self):
        # Neither five hours too early nor too late: what is due to the second, and no more.
        for zone in ("America/New_York", "Asia/Tokyo"):
            with self.subTest(zone), self.database_in(zone):
                due, soon = [], []
                for hours in range(-7, 8):
                    job = self.factory.makePendingJob()
                    offset = timedelta(hours=hours, seconds=60)
                    (due if offset <= timedelta(0) else soon).append(job.id)
                    main_store().execute(
                        "UPDATE codeimportjob SET date_due = date_due + ?::interval WHERE id = ?",
                        (offset, job.id),
                    )
                transaction.commit()
                claimed = []
                while (job := self.jobs.getJobForMachine("box", 100)) is not None:
                    claimed.append(job.id)
                    transaction.commit()
                self.assertEqual(due, claimed)
                self.assertEqual(
                    len(soon), self.jobs.getJobsInState(CodeImportJobState.PENDING).count()
                )

    def test_times_are_utc(self):
        # What is read is UTC, and the clock is right.
        with self.database_in("America/New_York"):
            job = self.factory.makeRunningJob()
            self.assertEqual(timedelta(0), job.date_started.utcoffset())
            self.assertEqual("UTC", self.fetch("SHOW TimeZone"))
            self.assertEqual(self.now(), job.heartbeat)
            self.factory.letTimePass(timedelta(seconds=299))
            self.assertEqual([], list(self.jobs.getReclaimableJobs()))
            self.factory.letTimePass(timedelta(seconds=2))
            self.assertEqual([job], list(self.jobs.getReclaimableJobs()))


class TestQueue(DomainTestCase):
    """How the claim reads a queue of many jobs."""

    def setUp(self):
        super().setUp()
        main_store().execute(FILL_QUEUE.format(size=QUEUE_SIZE), noresult=True)
        # Statistics are only seen when they are committed.
        transaction.commit()

    def nodes_of(self, plan):
        """Return a plan's nodes, the ones below it included."""
        return [plan, *(node for below in plan.get("Plans", ()) for node in self.nodes_of(below))]

    def explain(self):
        """Return the nodes of the claim's plan, as it was really run."""
        plan = self.fetch(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {MOST_URGENT_JOB}")
        return self.nodes_of(plan[0]["Plan"])

    def assert_read_by(self, nodes, *indexes):
        """Assert that jobs are found by indexes alone, in their order, a row at a time."""
        kinds = {node["Node Type"] for node in nodes}
        self.assertEqual(set(), kinds & {"Sort", "Incremental Sort", "Bitmap Heap Scan", "Hash"})
        reading = [node for node in nodes if node.get("Relation Name") == "codeimportjob"]
        self.assertEqual({"Index Scan"}, {node["Node Type"] for node in reading})
        self.assertEqual(list(indexes), [node["Index Name"] for node in reading])
        read = [node["Actual Rows"] * node["Actual Loops"] for node in reading]
        self.assertLessEqual(max(read), 1)

    def test_most_urgent_job(self):
        # One row is read of one index: the second is not even asked while there are requests.
        nodes = self.explain()
        indexes = ("codeimportjob__requested__idx", "codeimportjob__due__idx")
        self.assert_read_by(nodes, *indexes)
        [ordinary] = [node for node in nodes if node.get("Index Name") == indexes[1]]
        self.assertEqual(0, ordinary["Actual Loops"])

    def test_most_urgent_job_without_requests(self):
        # Without requests, the other index gives the row.
        main_store().execute("UPDATE codeimportjob SET requesting_user = NULL")
        transaction.commit()
        nodes = self.explain()
        self.assert_read_by(nodes, "codeimportjob__requested__idx", "codeimportjob__due__idx")
        [ordinary] = [
            node for node in nodes if node.get("Index Name") == "codeimportjob__due__idx"
        ]
        self.assertEqual(1, ordinary["Actual Loops"])

    def test_most_urgent_job_of_empty_queue(self):
        # A poll that finds nothing reads nothing.
        main_store().execute("UPDATE codeimportjob SET date_due = date_due + interval '1 day'")
        main_store().execute("ANALYZE codeimportjob")
        transaction.commit()
        nodes = self.explain()
        self.assert_read_by(nodes, "codeimportjob__requested__idx", "codeimportjob__due__idx")
