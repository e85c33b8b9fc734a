"""The enumerations: their names and numbers are the database's and the wire's, for ever."""

import inspect

from lazr.enum import DBEnumeratedType

from lp.code import enums
from lp.code.enums import (
    NON_CVS_RCS_TYPES,
    CodeImportEventDataType,
    CodeImportResultStatus,
    RevisionControlSystems,
    TargetRevisionControlSystems,
)
from lp.testing import TestCase

# A number may be added; one that is here never gets another name, and no name another number.
NUMBERS = {
    "RevisionControlSystems": {"CVS": 1, "SVN": 2, "BZR_SVN": 3, "GIT": 4, "HG": 5, "BZR": 6},
    "CodeImportReviewStatus": {
        "NEW": 1,
        "INVALID": 10,
        "REVIEWED": 20,
        "SUSPENDED": 30,
        "FAILING": 40,
    },
    "CodeImportJobState": {"PENDING": 10, "SCHEDULED": 20, "RUNNING": 30},
    "CodeImportMachineState": {"OFFLINE": 10, "ONLINE": 20, "QUIESCING": 30},
    "CodeImportMachineOfflineReason": {"STOPPED": 110, "QUIESCED": 120, "WATCHDOG": 210},
    "CodeImportResultStatus": {
        "SUCCESS": 100,
        "SUCCESS_NOCHANGE": 110,
        "SUCCESS_PARTIAL": 120,
        "FAILURE": 200,
        "INTERNAL_FAILURE": 210,
        "FAILURE_INVALID": 220,
        "FAILURE_UNSUPPORTED_FEATURE": 230,
        "FAILURE_FORBIDDEN": 240,
        "FAILURE_REMOTE_BROKEN": 250,
        "RECLAIMED": 310,
        "KILLED": 320,
    },
    "CodeImportEventType": {
        "CREATE": 110,
        "MODIFY": 120,
        "DELETE": 130,
        "START": 210,
        "FINISH": 220,
        "PUBLISH": 230,
        "RECLAIM": 240,
        "REQUEST": 310,
        "KILL": 320,
        "ONLINE": 410,
        "OFFLINE": 420,
        "QUIESCE": 430,
    },
    "CodeImportEventDataType": {
        "MESSAGE": 10,
        "CODE_IMPORT": 110,
        "OWNER": 120,
        "OLD_OWNER": 121,
        "REVIEW_STATUS": 130,
        "OLD_REVIEW_STATUS": 131,
        "ASSIGNEE": 140,
        "OLD_ASSIGNEE": 141,
        "UPDATE_INTERVAL": 210,
        "OLD_UPDATE_INTERVAL": 211,
        "CVS_ROOT": 220,
        "CVS_MODULE": 221,
        "OLD_CVS_ROOT": 222,
        "OLD_CVS_MODULE": 223,
        "SVN_BRANCH_URL": 230,
        "OLD_SVN_BRANCH_URL": 231,
        "GIT_REPO_URL": 237,
        "OLD_GIT_REPO_URL": 238,
        "URL": 240,
        "OLD_URL": 241,
        "OFFLINE_REASON": 410,
        "RECLAIMED_JOB_ID": 510,
    },
}


class TestEnumerations(TestCase):
    """All enumerations of the domain."""

    def test_names_and_numbers(self):
        # Every stored enumeration has exactly the names and numbers that stand above.
        found = {
            name: {item.name: item.value for item in enum.items}
            for name, enum in inspect.getmembers(enums, inspect.isclass)
            if issubclass(enum, DBEnumeratedType) and enum is not DBEnumeratedType
        }
        self.assertEqual(NUMBERS, found)

    def test_declaration_order(self):
        # Items are listed in the order in which people read them.
        for name, numbers in NUMBERS.items():
            listed = [item.name for item in getattr(enums, name).items]
            self.assertEqual(list(numbers), listed)

    def test_titles(self):
        # Every item can be shown to people, and no two of an enumeration look the same.
        for name in NUMBERS:
            titles = [item.title for item in getattr(enums, name).items]
            self.assertEqual(len(titles), len(set(titles)))
            self.assertTrue(all(titles))

    def test_successes(self):
        # Three of the eleven statuses count as success.
        names = [status.name for status in CodeImportResultStatus.successes]
        self.assertEqual(["SUCCESS", "SUCCESS_NOCHANGE", "SUCCESS_PARTIAL"], names)

    def test_result_status_by_name(self):
        # The wire names a status; the name finds the item.
        found = CodeImportResultStatus.items["FAILURE_INVALID"]
        self.assertIs(CodeImportResultStatus.FAILURE_INVALID, found)

    def test_target_types_have_no_numbers(self):
        # The type of a target is not stored: here it is Git always.
        names = [item.name for item in TargetRevisionControlSystems.items]
        self.assertEqual(["BZR", "GIT"], names)
        self.assertFalse(hasattr(TargetRevisionControlSystems.GIT, "value"))

    def test_non_cvs_types(self):
        # Everything but CVS is known by a URL.
        types = {RevisionControlSystems.CVS, *NON_CVS_RCS_TYPES}
        self.assertEqual(set(RevisionControlSystems.items), types)
        self.assertNotIn(RevisionControlSystems.CVS, NON_CVS_RCS_TYPES)

    def test_old_values_follow_their_new_ones(self):
        # What a modification can change has a type for the value before it.
        names = {item.name for item in CodeImportEventDataType.items}
        changing = {name.removeprefix("OLD_") for name in names if name.startswith("OLD_")}
        constant = {"MESSAGE", "CODE_IMPORT", "OFFLINE_REASON", "RECLAIMED_JOB_ID"}
        self.assertEqual(names, changing | {f"OLD_{name}" for name in changing} | constant)
