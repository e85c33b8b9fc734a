"""Many machines against a real server."""

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psycopg2
import transaction

from lp.services.database.stores import main_store
from lp.testing import TestCaseWithFactory
from lp.testing.layers import ServerLayer
from tests.concurrency.together import find_contradictions

CLAIMER = Path(__file__).parent / "claimer.py"

JOBS = 300
CLAIMERS = 8
HOSTNAMES = 4
LIMIT = 3

OVER_THE_LIMIT = """
    SELECT m.hostname, m.running, count(j.id) FROM codeimportmachine m
      LEFT JOIN codeimportjob j ON j.machine = m.id AND j.state = 30
     GROUP BY m.id HAVING m.running > %s OR count(j.id) > %s OR m.running <> count(j.id)
"""

# The machines' rows are locked while these are written, so that their order is that of what
# they tell of.
STARTS_AND_ENDS = """
    SELECT machine, CASE entry_type WHEN 210 THEN 1 ELSE -1 END
      FROM codeimportevent WHERE entry_type IN (210, 220) ORDER BY id
"""


class TestClaims(TestCaseWithFactory):
    """Processes that claim and finish until nothing is due."""

    layer = ServerLayer

    def setUp(self):
        super().setUp()
        for _ in range(JOBS):
            self.factory.makeCodeImport()
        transaction.commit()

    def start_claimers(self):
        # Two processes for each hostname, as dispatchers of one machine that know nothing
        # of each other.
        claimers = [
            subprocess.Popen(
                [sys.executable, CLAIMER, ServerLayer.url, f"host-{n % HOSTNAMES}", str(LIMIT)],
                stdout=subprocess.PIPE,
                text=True,
            )
            for n in range(CLAIMERS)
        ]
        for claimer in claimers:
            self.addCleanup(claimer.wait)
            self.addCleanup(claimer.kill)
        return claimers

    def watch(self, claimers):
        # Look again and again whether any machine is above its limit, or miscounted.
        seen, looks = [], 0
        connection = psycopg2.connect(ServerLayer.dsn)
        connection.autocommit = True
        with connection.cursor() as cursor:
            while any(claimer.poll() is None for claimer in claimers):
                cursor.execute(OVER_THE_LIMIT, (LIMIT, LIMIT))
                seen += cursor.fetchall()
                looks += 1
                time.sleep(0.005)
        connection.close()
        return seen, looks

    def test_claims_are_exact(self):
        # Every job is handed out once, no machine has more than it can run, no call fails.
        claimers = self.start_claimers()
        over, looks = self.watch(claimers)
        outputs = [json.loads(claimer.communicate(timeout=60)[0]) for claimer in claimers]
        self.assertEqual([0] * CLAIMERS, [claimer.returncode for claimer in claimers])
        self.assertEqual([], [fault for output in outputs for fault in output["failures"]])
        claimed = Counter(job for output in outputs for job in output["jobs"])
        self.assertEqual(JOBS, len(claimed))
        self.assertEqual({1}, set(claimed.values()))
        self.assertEqual([], over)
        self.assertGreater(looks, 20)
        transaction.begin()
        self.assertEqual([], find_contradictions())
        self.assert_limit_by_events()
        self.assert_all_worked(outputs)

    def assert_limit_by_events(self):
        # No machine ever ran more than it can, whatever its counter said.
        running = Counter()
        for machine, change in main_store().execute(STARTS_AND_ENDS):
            running[machine] += change
            self.assertLessEqual(running[machine], LIMIT)
        self.assertEqual({0}, set(running.values()))

    def assert_all_worked(self, outputs):
        # Each claimer had its share, and met the limit now and then; else this proves little.
        self.assertTrue(all(output["jobs"] for output in outputs))
        self.assertGreater(max(output["held"] for output in outputs), 1)
