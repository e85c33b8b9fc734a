"""The scheduler, called by XML-RPC through the whole application within the process."""

import logging
import xmlrpc.client

from webob import Request

from lp.code.enums import CodeImportJobState, CodeImportResultStatus
from lp.testing.xmlrpc import XMLRPCTestTransport
from lp.xmlrpc.application import make_private_application
from tests.integration.domain import DomainTestCase

URL = "http://private.example:8087/codeimportscheduler"
PATH = "/codeimportscheduler"

NOT_A_CALL = -32700
NO_SUCH_METHOD = -32601
WRONG_ARGUMENTS = -32602
INTERNAL_ERROR = -32603
BODY_TOO_LARGE = -32001
FORBIDDEN_XML = -32002

BOMB = b"""<?xml version="1.0"?>
<!DOCTYPE bomb [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<methodCall><methodName>getJobForMachine</methodName>
<params><param><value>&b;</value></param><param><value><int>1</int></value></param></params>
</methodCall>"""
THIEF = b"""<?xml version="1.0"?>
<!DOCTYPE thief [<!ENTITY passwd SYSTEM "file:///etc/passwd">]>
<methodCall><methodName>getJobForMachine</methodName>
<params><param><value>&passwd;</value></param></params></methodCall>"""


class SchedulerTestCase(DomainTestCase):
    """A test that calls as a machine elsewhere would."""

    def setUp(self):
        super().setUp()
        self.proxy = xmlrpc.client.ServerProxy(
            URL, transport=XMLRPCTestTransport(), allow_none=True
        )

    def assert_fault(self, code, because, name, *arguments):
        """Assert that a call is refused with a fault that says why."""
        with self.assertRaises(xmlrpc.client.Fault) as caught:
            getattr(self.proxy, name)(*arguments)
        self.assertEqual(code, caught.exception.faultCode, caught.exception.faultString)
        self.assertRegex(caught.exception.faultString, because)
        return caught.exception

    def post(self, body, content_type="text/xml"):
        """Send bytes; return the response."""
        request = Request.blank(PATH, method="POST", content_type=content_type, body=body)
        return request.get_response(make_private_application())

    def assert_fault_of_body(self, code, because, body):
        """Assert that a body is refused with a fault that says why."""
        response = self.post(body)
        self.assertEqual((200, "text/xml"), (response.status_code, response.content_type))
        with self.assertRaises(xmlrpc.client.Fault) as caught:
            xmlrpc.client.loads(response.body)
        self.assertEqual(code, caught.exception.faultCode, caught.exception.faultString)
        self.assertRegex(caught.exception.faultString, because)

    def make_running_job(self):
        """Return the id of a RUNNING job."""
        return self.factory.makeRunningJob().id


class TestCalls(SchedulerTestCase):
    """The four methods, as workers call them."""

    def test_whole_life(self):
        # Claimed, described, heard of, finished: what was committed is what was answered.
        code_import = self.factory.makeCodeImport()
        job_id = self.proxy.getJobForMachine("box", 1)
        self.assertEqual(code_import.import_job.id, job_id)
        data = self.proxy.getImportDataForJobID(job_id)
        self.assertEqual([code_import.target.unique_name, "git", "git"], data["arguments"][:3])
        self.assertEqual(0, self.proxy.updateHeartbeat(job_id, "line"))
        log = xmlrpc.client.Binary(b"\0\xff" * 1000)
        self.assertIsNone(self.proxy.finishJobID(job_id, "SUCCESS", log, "abc"))
        result = code_import.results.first()
        self.assertEqual(
            (CodeImportResultStatus.SUCCESS, "line"), (result.status, result.log_excerpt)
        )
        self.assertEqual(b"\0\xff" * 1000, result.log_file.read())
        self.assertEqual("abc", code_import.source_state)
        self.assert_counters_right()

    def test_finishJobID_repeated(self):
        # A call that is repeated since its answer was lost is answered like the first one.
        job_id = self.make_running_job()
        for _ in range(3):
            self.assertIsNone(self.proxy.finishJobID(job_id, "FAILURE", b"log"))
        self.assertEqual([1, 1], [self.count("codeimportresult"), self.count("logfile")])
        self.assert_fault(360, f"^Job {job_id} not found.$", "finishJobID", job_id, "SUCCESS", "")

    def test_log_tail_of_any_characters(self):
        # What XML can carry arrives; line ends, too.
        job_id = self.make_running_job()
        for tail in ("", "ä😀\u2028", "<&>]]>", "a\nb\n", "a\tb", " a "):
            self.assertEqual(0, self.proxy.updateHeartbeat(job_id, tail))
            self.assertEqual(tail, self.jobs.getById(job_id).logtail)

    def test_data_of_any_characters(self):
        # A source state of a CVS root with a letter of another script is read back.
        code_import = self.factory.makeCodeImport()
        job = self.factory.makeRunningJob(code_import)
        self.proxy.finishJobID(job.id, "SUCCESS", "", "zustand-ä")
        job = self.factory.makeRunningJob(code_import)
        self.assertEqual("zustand-ä", self.proxy.getImportDataForJobID(job.id)["source_state"])

    def test_multicall(self):
        # Several calls in one request are calls of their own.
        job_id = self.make_running_job()
        calls = xmlrpc.client.MultiCall(self.proxy)
        calls.updateHeartbeat(job_id, "line")
        calls.updateHeartbeat(4711, "line")
        calls.finishJobID(job_id, "SUCCESS", "")
        answers = calls()
        self.assertEqual(0, answers[0])
        with self.assertRaisesRegex(xmlrpc.client.Fault, "Fault 360: 'Job 4711 not found"):
            answers[1]
        self.assertIsNone(answers[2])
        self.assertEqual(1, self.count("codeimportresult"))

    def test_system_methods(self):
        # A stranger can find out what there is, and what it means.
        names = self.proxy.system.listMethods()
        for name in (
            "getJobForMachine",
            "getImportDataForJobID",
            "updateHeartbeat",
            "finishJobID",
        ):
            self.assertIn(name, names)
            self.assertRegex(self.proxy.system.methodHelp(name), r":raise Fault \d+: ")
        signature = self.proxy.system.methodSignature("getJobForMachine")
        self.assertEqual([["int", "string", "int"]], signature)
        signatures = self.proxy.system.methodSignature("finishJobID")
        self.assertEqual([4, 5], [len(signature) for signature in signatures])

    def test_transport_shows_committed_data(self):
        # As with a server elsewhere, what the test has done counts, and what was done is seen.
        job = self.factory.makePendingJob()
        self.assertEqual(job.id, self.proxy.getJobForMachine("box", 1))
        self.assertEqual(CodeImportJobState.RUNNING, job.state)


class TestBadArguments(SchedulerTestCase):
    """Arguments that are wrong: each has its code and its sentence, and nothing is written."""

    def tearDown(self):
        self.assert_counters_right()
        super().tearDown()

    def test_hostname(self):
        # Empty, too long, no text, or with what nobody can see.
        self.factory.makePendingJob()
        for because, hostname in (
            ("has 0 characters; it must have 1 to 253", ""),
            ("has 10000 characters", "x" * 10_000),
            ("must be text, not a number", 7),
            ("must be text, not nil", None),
            ("must be text, not an array", ["box"]),
            ("must be text, not a struct", {"name": "box"}),
            ("a space, a slash or a control", "a b"),
            ("a space, a slash or a control", "a\nb"),
            ("a space, a slash or a control", xmlrpc.client.Binary(b"a\0b")),
        ):
            with self.subTest(because):
                self.assert_fault(364, because, "getJobForMachine", hostname, 1)
        self.assertEqual([0, 0], [self.count("codeimportmachine"), self.count("codeimportresult")])

    def test_worker_limit(self):
        # Below nothing, true, too many, or no number; nothing itself is no error.
        self.factory.makePendingJob()
        for because, limit in (
            ("is -1; it must be from 0 to 10000", -1),
            ("must be a whole number, not a boolean", True),
            ("is 10001; it must be", 10_001),
            ("must be a whole number, not text", "1"),
            ("must be a whole number, not a double", 1.0),
            ("must be a whole number, not nil", None),
        ):
            with self.subTest(because):
                self.assert_fault(365, because, "getJobForMachine", "box", limit)
        self.assertEqual(0, self.count("codeimportmachine"))
        self.assertEqual(0, self.proxy.getJobForMachine("box", 0))

    def test_worker_limit_of_64_bits(self):
        # Numbers that Python's client does not send arrive all the same.
        body = xmlrpc.client.dumps(("box", 1), "getJobForMachine")
        body = body.replace("<int>1</int>", f"<i8>{2**62}</i8>").encode()
        self.assert_fault_of_body(365, f"is {2**62}; it must be", body)

    def test_refused_machine(self):
        # A stranger that is turned away leaves no trace.
        self.push_config("codeimportscheduler", unknown_machines="refuse")
        self.assert_fault(367, "The machine box is not registered", "getJobForMachine", "box", 1)
        self.assertEqual(0, self.count("codeimportmachine"))

    def test_unknown_job(self):
        # A job that never was.
        for arguments in (
            ("getImportDataForJobID", 4711),
            ("updateHeartbeat", 4711, ""),
            ("finishJobID", 4711, "SUCCESS", ""),
            ("finishJobID", 4711, "GREAT", ""),
        ):
            self.assert_fault(360, "^Job 4711 not found.$", *arguments)
        for job_id in (0, -1):
            self.assert_fault(360, "not found", "getImportDataForJobID", job_id)

    def test_job_id_of_other_type(self):
        # An id is a number.
        for job_id in ("1", True, None, 1.0, [1]):
            self.assert_fault(368, "job id must be a whole", "getImportDataForJobID", job_id)

    def test_pending_job(self):
        # A job that waits is no job of a worker.
        job_id = self.factory.makePendingJob().id
        for name, *arguments in (
            ("getImportDataForJobID",),
            ("updateHeartbeat", ""),
            ("finishJobID", "SUCCESS", ""),
        ):
            self.assert_fault(361, "is PENDING, not RUNNING", name, job_id, *arguments)

    def test_unknown_status(self):
        # The message lists the names that there are, and does not repeat a long one.
        job_id = self.make_running_job()
        fault = self.assert_fault(
            366,
            "use one of SUCCESS, SUCCESS_NOCHANGE,",
            "finishJobID",
            job_id,
            "x" * 10_000,
            b"log",
        )
        self.assertLess(len(fault.faultString), 500)
        self.assertEqual(CodeImportJobState.RUNNING, self.jobs.getById(job_id).state)
        self.assertEqual([0, 0], [self.count("codeimportresult"), self.count("logfile")])

    def test_log_that_is_text(self):
        # A log is base64, or nothing.
        job_id = self.make_running_job()
        self.assert_fault(368, "log must be base64", "finishJobID", job_id, "SUCCESS", "text")
        self.assertEqual(0, self.count("codeimportresult"))

    def test_number_of_arguments(self):
        # The interface says how many there are.
        self.assert_fault(WRONG_ARGUMENTS, "takes 2 arguments; 1 was", "getJobForMachine", "box")
        self.assert_fault(
            WRONG_ARGUMENTS, "takes 3 to 4 arguments; 5 were", "finishJobID", *"12345"
        )
        self.assert_fault(WRONG_ARGUMENTS, "takes 1 argument; 0", "getImportDataForJobID")

    def test_unknown_method(self):
        # Neither what is not there, nor what is private, nor what others publish.
        for name in (
            "nothing",
            "_get_job",
            "__init__",
            "context",
            "getJobForMachine.x",
            "x" * 9999,
        ):
            body = xmlrpc.client.dumps(("box", 1), name).encode()
            self.assert_fault_of_body(NO_SUCH_METHOD, "^There is no method '.{0,102}'", body)


class TestBadBodies(SchedulerTestCase):
    """Bodies that are no calls."""

    def test_not_xml(self):
        # Whatever is not XML is said to be so.
        for body in (b"", b"hello", b"\0\xff", b"<methodCall>", b"{}", b"<methodCall></b>"):
            with self.subTest(body):
                self.assert_fault_of_body(NOT_A_CALL, "is not XML", body)

    def test_not_a_call(self):
        # As is XML of another kind.
        for body in (b"<a/>", b"<methodCall/>", b"<methodResponse/>", b"<html><body/></html>"):
            with self.subTest(body):
                self.assert_fault_of_body(NOT_A_CALL, "is not an XML-RPC call", body)

    def test_entities(self):
        # Nothing is expanded, and nothing fetched.
        for body in (BOMB, THIEF):
            self.assert_fault_of_body(FORBIDDEN_XML, "entities or external", body)

    def test_too_large(self):
        # A body above the limit is not read into memory; one below it is a call.
        self.push_config("codeimportscheduler", max_body=1000)
        small = xmlrpc.client.dumps(("box", 1), "getJobForMachine").encode()
        self.assert_fault_of_body(BODY_TOO_LARGE, "larger than 1000 bytes", small.ljust(1001))
        self.assertEqual(200, self.post(small.ljust(1000)).status_code)
        self.assertEqual(((0,), None), xmlrpc.client.loads(self.post(small.ljust(1000)).body))

    def test_other_content_type(self):
        # Browsers cannot be made to call.
        body = xmlrpc.client.dumps(("box", 1), "getJobForMachine").encode()
        for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/xml"):
            self.assertEqual(415, self.post(body, content_type).status_code)
        self.assertEqual(0, self.count("codeimportmachine"))

    def test_other_method(self):
        # Only POST calls.
        request = Request.blank(PATH)
        response = request.get_response(make_private_application())
        self.assertEqual((405, "POST"), (response.status_code, response.headers["Allow"]))

    def test_other_path(self):
        # Nothing but the scheduler is published.
        body = xmlrpc.client.dumps((), "system.listMethods").encode()
        for path in ("/", "/nothing", "/codeimportscheduler/context", "/codeimportscheduler/x"):
            request = Request.blank(path, method="POST", content_type="text/xml", body=body)
            response = request.get_response(make_private_application())
            self.assertEqual(404, response.status_code, path)


class TestErrors(SchedulerTestCase):
    """Errors that nobody foresaw."""

    def test_internal_error(self):
        # The caller gets an id, and the log has the rest under it; nothing is written.
        job_id = self.make_running_job()
        self.push_config("launchpad", internal_macaroon_secret_key="short")
        with self.assertLogs("lp.services.webapp", logging.ERROR) as logs:
            fault = self.assert_fault(
                INTERNAL_ERROR, r"^Internal error [0-9a-f]{16}\.$", "getImportDataForJobID", job_id
            )
        [record] = logs.records
        self.assertIn(record.error_id, fault.faultString)
        self.assertEqual("getImportDataForJobID", record.method)
        self.assertIn("at least 16", str(record.exc_info[1]))

    def test_refusals_are_logged(self):
        # One line says who was refused what.
        with self.assertLogs("lp.services.webapp", logging.INFO) as logs:
            self.assert_fault(360, "not found", "updateHeartbeat", 4711, "secret output")
        [record] = [line for line in logs.records if line.msg == "call refused"]
        self.assertEqual((360, "updateHeartbeat"), (record.code, record.method))
        self.assertNotIn("secret", str(vars(record)))

    def test_token_is_never_logged(self):
        # Whatever is logged of a job's whole life, its token is not.
        job_id = self.make_running_job()
        with self.assertLogs(level=logging.DEBUG) as logs:
            logging.getLogger("lp").info("at least one line")
            arguments = self.proxy.getImportDataForJobID(job_id)["arguments"]
            self.proxy.finishJobID(job_id, "SUCCESS", "")
        token = arguments[arguments.index("--macaroon") + 1]
        self.assertNotIn(token, " ".join(str(vars(record)) for record in logs.records))
