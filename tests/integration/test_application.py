"""The web application: requests, dispatch to a view, transactions and retries."""

from xmlrpc.client import Fault

import transaction
from pyramid.interfaces import IRequest
from webob import Request
from zope.component import getGlobalSiteManager
from zope.interface import implementer
from zope.interface.verify import verifyObject

from lp.services.database.stores import main_store
from lp.services.webapp.dispatch import signatures
from lp.services.webapp.interfaces import ISystemMethods, IXMLRPCView
from lp.services.webapp.servers import LaunchpadTestRequest
from lp.services.webapp.system import MAX_CALLS, SystemMethods
from lp.services.webapp.xmlrpc import (
    BODY_TOO_LARGE,
    FORBIDDEN_XML,
    INTERNAL_ERROR,
    NO_SUCH_METHOD,
    NOT_A_CALL,
    UNAVAILABLE,
    WRONG_ARGUMENTS,
    marshal_call,
    unmarshal_answer,
)
from lp.testing import TestCase
from lp.testing.layers import ComponentLayer, DatabaseLayer
from tests.webapp_site import Calculator, ICalculator, ISite, Site, make_site

LOGGER = "lp.services.webapp.publication"


class IScratchPad(IXMLRPCView):
    """Methods that write to the database."""

    def write(number: int) -> int:
        """Write a number, and return it."""

    def writeAndRefuse(number: int) -> int:
        """Write a number, and refuse by returning a fault."""

    def writeAndRaise(number: int) -> int:
        """Write a number, and refuse by raising a fault."""

    def writeAndFail(number: int) -> int:
        """Write a number, and fail."""

    def writeAndReturnObject(number: int) -> int:
        """Write a number, and return what cannot be sent."""

    def collide(number: int, times: int) -> int:
        """Write a number, after so many failed attempts to do so."""

    def disconnect(number: int, times: int) -> int:
        """Write a number, after the connection was lost so many times."""


@implementer(IScratchPad)
class ScratchPad:
    """See `IScratchPad`."""

    attempts = 0

    def __init__(self, context: ISite, request: IRequest) -> None:
        pass

    def write(self, number: int) -> int:
        """See `IScratchPad`."""
        main_store().execute("INSERT INTO scratch VALUES (?)", (number,))
        return number

    def writeAndRefuse(self, number: int) -> int | Fault:
        """See `IScratchPad`."""
        self.write(number)
        return Fault(7, "Not today.")

    def writeAndRaise(self, number: int) -> int:
        """See `IScratchPad`."""
        self.write(number)
        raise Fault(8, "Never.")

    def writeAndFail(self, number: int) -> int:
        """See `IScratchPad`."""
        return self.write(number) // 0

    def writeAndReturnObject(self, number: int) -> object:
        """See `IScratchPad`."""
        self.write(number)
        return self

    def collide(self, number: int, times: int) -> int:
        """See `IScratchPad`."""
        self.write(number)
        ScratchPad.attempts += 1
        if ScratchPad.attempts <= times:
            main_store().execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$")
        return ScratchPad.attempts

    def disconnect(self, number: int, times: int) -> int:
        """See `IScratchPad`."""
        self.write(number)
        ScratchPad.attempts += 1
        if ScratchPad.attempts <= times:
            main_store().execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return ScratchPad.attempts


class ApplicationTestCase(TestCase):
    """A test of a site in this process."""

    layer = ComponentLayer
    view = Calculator

    def setUp(self):
        super().setUp()
        self.application = make_site(self.view)
        self.addCleanup(self.unregister)

    def unregister(self):
        """Forget the view of the site."""
        registry = getGlobalSiteManager()
        registry.unregisterAdapter(self.view, (ISite, IRequest), IXMLRPCView)

    def post(self, body, content_type="text/xml", path="/calculator"):
        """Send a body, and return the response."""
        request = Request.blank(path, method="POST", body=body, content_type=content_type)
        request.environ["REMOTE_ADDR"] = "192.0.2.7"
        return request.get_response(self.application)

    def call(self, name, *arguments):
        """Call a method, and return what it returns."""
        response = self.post(marshal_call(name, arguments))
        self.assertEqual(200, response.status_code)
        self.assertEqual("text/xml;charset=utf-8", response.headers["Content-Type"])
        return unmarshal_answer(response.body)

    def assert_fault(self, code, text, name, *arguments):
        """Check that a call gets a fault."""
        with self.assertRaises(Fault) as caught:
            self.call(name, *arguments)
        self.assertEqual((code, text), (caught.exception.faultCode, caught.exception.faultString))


class TestRequests(ApplicationTestCase):
    """Requests that are no calls, and some that are."""

    def assert_plain(self, status, text, response):
        """Check that an answer is one sentence in plain text."""
        self.assertEqual(status, response.status_code)
        self.assertEqual("text/plain; charset=utf-8", response.headers["Content-Type"])
        self.assertEqual(f"{text}\n", response.text)

    def test_other_methods(self):
        # Only POST is a call.
        for method in ("GET", "PUT", "DELETE", "OPTIONS", "PATCH"):
            with self.subTest(method=method):
                response = Request.blank("/calculator", method=method).get_response(
                    self.application
                )
                self.assert_plain(405, "Only POST is answered here.", response)
                self.assertEqual("POST", response.headers["Allow"])

    def test_other_content_types(self):
        # Only text/xml is a call.
        for content_type in ("", "application/xml", "text/xmlish", "text/plain"):
            with self.subTest(content_type=content_type):
                response = self.post(b"", content_type=content_type)
                self.assert_plain(415, "Only text/xml is understood here.", response)

    def test_content_type_with_parameters(self):
        # Parameters and capitals do not matter.
        body = marshal_call("add", [1, 2])
        for content_type in ("text/xml; charset=utf-8", "Text/XML;x=y"):
            with self.subTest(content_type=content_type):
                response = self.post(body, content_type=content_type)
                self.assertEqual(3, unmarshal_answer(response.body))

    def test_unknown_paths(self):
        # There is nothing at, above or below the place that is not published.
        for path in ("/", "/unknown", "/calculator/add", "/calculator/__class__", "/__class__"):
            with self.subTest(path=path):
                response = self.post(b"", path=path)
                self.assert_plain(404, "There is nothing here.", response)

    def test_path_that_is_not_utf8(self):
        # A malformed path is the client's mistake.
        self.assert_plain(400, "The path is not UTF-8.", self.post(b"", path="/%ff"))

    def test_bodies_that_are_no_calls(self):
        # Each has a fault of its own.
        for body, code in {
            b"": NOT_A_CALL,
            b"{}": NOT_A_CALL,
            b"<html/>": NOT_A_CALL,
            b"<!DOCTYPE a [<!ENTITY b 'c'>]><methodCall/>": FORBIDDEN_XML,
            b" " * 1_000_001: BODY_TOO_LARGE,
        }.items():
            with self.subTest(body=body[:50]), self.assertRaises(Fault) as caught:
                unmarshal_answer(self.post(body).body)
            self.assertEqual(code, caught.exception.faultCode)

    def test_error_outside_of_a_call(self):
        # What fails before there is a place to call is an error of HTTP.
        with self.assertLogs(LOGGER, "ERROR") as logs:
            response = self.post(b"", path="/broken")
        [record] = logs.records
        self.assert_plain(500, f"Internal error {record.error_id}.", response)


class TestDispatch(ApplicationTestCase):
    """Which methods are called, and what they are given."""

    def test_call(self):
        # A method gets the arguments, and its result is answered.
        self.assertEqual(3, self.call("add", 1, 2))

    def test_call_with_optional_argument(self):
        # What the interface gives a default may be left out.
        self.assertEqual(2, self.call("add", 1))

    def test_call_values(self):
        # Whatever XML-RPC has comes through in both directions.
        for value in (None, True, 2**40, -1.5, "é\r\n", b"\0\xff", [], {}, [{"a": [None]}]):
            with self.subTest(value=value):
                self.assertEqual(value, self.call("echo", value))

    def test_call_wrong_number_of_arguments(self):
        # The sentence has the method and both counts.
        for arguments, text in {
            (): "add takes 1 to 2 arguments; 0 were given.",
            (1, 2, 3): "add takes 1 to 2 arguments; 3 were given.",
        }.items():
            self.assert_fault(WRONG_ARGUMENTS, text, "add", *arguments)
        text = "echo takes 1 argument; 2 were given."
        self.assert_fault(WRONG_ARGUMENTS, text, "echo", 1, 2)
        text = "returnRefusal takes 0 arguments; 1 was given."
        self.assert_fault(WRONG_ARGUMENTS, text, "returnRefusal", 1)

    def test_call_what_is_no_method(self):
        # Only methods of interfaces for XML-RPC can be called.
        for name in (
            *("subtract", "", "system", "system.", "system.add", "calculator.add", "ADD"),
            *("precision", "shutDown", "_secret", "__init__", "context", "request"),
        ):
            with self.subTest(name=name):
                self.assert_fault(NO_SUCH_METHOD, f"There is no method {name!r}.", name)

    def test_call_method_with_long_name(self):
        # A stranger's name is not repeated at any length.
        text = f"There is no method {'x' * 99 + '…'!r}."
        self.assert_fault(NO_SUCH_METHOD, text, "x" * 100_000)

    def test_refusal(self):
        # A fault is answered whether it is returned or raised, and logged in one line.
        for name, code, text in (
            ("returnRefusal", 7, "Not today."),
            ("raiseRefusal", 8, "Never."),
        ):
            with self.assertLogs(LOGGER, "INFO") as logs:
                self.assert_fault(code, text, name)
            [record] = logs.records
            self.assertEqual(
                ("call refused", code, name, text, "192.0.2.7"),
                (record.msg, record.code, record.method, record.fault, record.remote),
            )

    def test_unforeseen_error(self):
        # The client gets an id, under which the log has the rest.
        with self.assertLogs(LOGGER, "ERROR") as logs, self.assertRaises(Fault) as caught:
            self.call("divide", 1, 0)
        [record] = logs.records
        self.assertEqual(INTERNAL_ERROR, caught.exception.faultCode)
        self.assertEqual(f"Internal error {record.error_id}.", caught.exception.faultString)
        self.assertEqual("divide", record.method)
        self.assertIs(ZeroDivisionError, record.exc_info[0])


class TestSystemMethods(ApplicationTestCase):
    """The ``system.*`` methods."""

    def test_provides_interface(self):
        # The system methods are a view like any other.
        request = LaunchpadTestRequest()
        view = SystemMethods(Calculator(Site(), request), request)
        self.assertTrue(verifyObject(ISystemMethods, view))

    def test_listMethods(self):
        # All that can be called is listed, and nothing else.
        names = ["add", "divide", "echo", "raiseRefusal", "returnRefusal", "sleep"]
        names += ["system.listMethods", "system.methodHelp", "system.methodSignature"]
        self.assertEqual([*names, "system.multicall"], self.call("system.listMethods"))

    def test_methodHelp(self):
        # The documentation of a method is the one of its interface.
        text = (
            "Add two numbers.\n\n:param augend: The first number.\n:param addend: The second one."
        )
        self.assertEqual(text, self.call("system.methodHelp", "add"))
        self.assertIn("names of all methods", self.call("system.methodHelp", "system.listMethods"))

    def test_methodHelp_unknown_method(self):
        # What cannot be called has no help either.
        for name in ("subtract", "_secret", "system.add"):
            text = f"There is no method {name!r}."
            self.assert_fault(NO_SUCH_METHOD, text, "system.methodHelp", name)
        text = "The name of a method must be a string."
        self.assert_fault(WRONG_ARGUMENTS, text, "system.methodHelp", 7)

    def test_methodSignature(self):
        # There is one signature for each number of arguments.
        for name, expected in {
            "add": [["int", "int"], ["int", "int", "int"]],
            "returnRefusal": [["int"]],
            "sleep": [["int", "double"]],
            "echo": "undef",
            "system.listMethods": [["array"]],
            "system.methodSignature": [["array", "string"]],
        }.items():
            with self.subTest(name=name):
                self.assertEqual(expected, self.call("system.methodSignature", name))

    def test_signatures_types(self):
        # Every type has a name; of several, the first that is no fault and not None.
        class View:
            def call(
                self, a: bytes | str, b: dict[str, int], c: bool | None, d: str | bytes
            ) -> None:
                pass

        class IView(IXMLRPCView):
            def call(a, b, c, d):
                pass

        self.assertEqual(
            [["nil", "base64", "struct", "boolean", "string"]],
            signatures(View(), "call", IView["call"]),
        )

    def test_multicall(self):
        # Results and faults come in the order of the calls.
        calls = [
            {"methodName": "add", "params": [1, 2]},
            {"methodName": "raiseRefusal", "params": []},
            {"methodName": "echo", "params": [[b"\0", None, 2**40]]},
            {"methodName": "system.methodSignature", "params": ["returnRefusal"]},
        ]
        expected = [
            [3],
            {"faultCode": 8, "faultString": "Never."},
            [[b"\0", None, 2**40]],
            [[["int"]]],
        ]
        self.assertEqual(expected, self.call("system.multicall", calls))

    def test_multicall_empty(self):
        # Nothing to do is done at once.
        self.assertEqual([], self.call("system.multicall", []))

    def test_multicall_bad_calls(self):
        # A bad call gets a fault of its own, and the others are made.
        bad = "Each call must be a struct of methodName, a string, and params, an array."
        calls = [3, {}, {"methodName": "add"}, {"methodName": 1, "params": []}]
        calls.append({"methodName": "add", "params": [1]})
        fault = {"faultCode": WRONG_ARGUMENTS, "faultString": bad}
        self.assertEqual([fault] * 4 + [[2]], self.call("system.multicall", calls))

    def test_multicall_nested(self):
        # A multicall cannot hold another one.
        calls = [{"methodName": "system.multicall", "params": [[]]}]
        text = "system.multicall cannot be one of its own calls."
        fault = {"faultCode": WRONG_ARGUMENTS, "faultString": text}
        self.assertEqual([fault], self.call("system.multicall", calls))

    def test_multicall_too_many(self):
        # There is an end to it.
        text = "system.multicall takes at most 1000 calls; 1001 were given."
        calls = [{"methodName": "add", "params": [1]}] * (MAX_CALLS + 1)
        self.assert_fault(WRONG_ARGUMENTS, text, "system.multicall", calls)

    def test_multicall_of_no_array(self):
        # It takes an array.
        text = "system.multicall takes an array of calls."
        self.assert_fault(WRONG_ARGUMENTS, text, "system.multicall", "add")


class TestTransactions(ApplicationTestCase):
    """Each call is a transaction."""

    layer = DatabaseLayer
    view = ScratchPad

    def setUp(self):
        super().setUp()
        ScratchPad.attempts = 0
        self.execute("CREATE TABLE scratch (number integer)")
        self.addCleanup(self.execute, "DROP TABLE scratch")

    def execute(self, statement):
        """Run a statement in a transaction of its own."""
        with transaction.manager:
            return (
                main_store().execute(statement).get_all()
                if "SELECT" in statement
                else (main_store().execute(statement, noresult=True))
            )

    def assert_written(self, *numbers):
        """Check what is in the table, and what other connections see."""
        rows = self.execute("SELECT number FROM scratch ORDER BY number")
        self.assertEqual([(number,) for number in numbers], rows)

    def test_success_is_committed(self):
        # What a method has written is there when its answer comes.
        self.assertEqual(5, self.call("write", 5))
        self.assert_written(5)

    def test_refusal_is_aborted(self):
        # What a method has written before it refused is gone.
        self.assert_fault(7, "Not today.", "writeAndRefuse", 5)
        self.assert_fault(8, "Never.", "writeAndRaise", 6)
        self.assert_written()

    def test_unforeseen_error_is_aborted(self):
        # So it is when the method failed, or when its result cannot be sent.
        for name in ("writeAndFail", "writeAndReturnObject"):
            with self.assertLogs(LOGGER, "ERROR"), self.assertRaises(Fault) as caught:
                self.call(name, 5)
            self.assertEqual(INTERNAL_ERROR, caught.exception.faultCode)
        self.assert_written()

    def test_collision_is_tried_again(self):
        # Two failed attempts leave nothing behind, and nobody hears of them.
        with self.assertNoLogs(LOGGER):
            self.assertEqual(3, self.call("collide", 5, 2))
        self.assert_written(5)

    def test_collisions_without_end(self):
        # After three attempts the client is told to come back.
        with self.assertLogs(LOGGER, "ERROR") as logs, self.assertRaises(Fault) as caught:
            self.call("collide", 5, 100)
        [record] = logs.records
        self.assertEqual(UNAVAILABLE, caught.exception.faultCode)
        self.assertIn(record.error_id, caught.exception.faultString)
        self.assertEqual(3, ScratchPad.attempts)
        self.assert_written()

    def test_lost_connection_is_tried_again(self):
        # A connection that the server closed is replaced by another one.
        self.assertEqual(3, self.call("disconnect", 5, 2))
        self.assert_written(5)

    def test_large_body_is_read_again(self):
        # The second attempt finds the same arguments, also when they fill a file.
        body = marshal_call("collide", [5, 1]) + b" " * 900_000
        self.assertEqual(2, unmarshal_answer(self.post(body).body))
        self.assert_written(5)

    def test_multicall_has_a_transaction_for_each_call(self):
        # A call that fails takes nothing with it, and each has attempts of its own.
        calls = [
            {"methodName": "write", "params": [1]},
            {"methodName": "writeAndRefuse", "params": [2]},
            {"methodName": "writeAndFail", "params": [3]},
            {"methodName": "collide", "params": [4, 2]},
            {"methodName": "write", "params": [5]},
        ]
        with self.assertLogs(LOGGER, "INFO"):
            first, second, third, fourth, fifth = self.call("system.multicall", calls)
        self.assertEqual(([1], [3], [5]), (first, fourth, fifth))
        self.assertEqual(7, second["faultCode"])
        self.assertEqual(INTERNAL_ERROR, third["faultCode"])
        self.assert_written(1, 4, 5)


class TestLaunchpadTestRequest(TestCase):
    """The request that views are made with in tests."""

    def test_provides_request(self):
        # It is a request, though nobody sent it.
        request = LaunchpadTestRequest(form={"name": "juniper"})
        self.assertTrue(IRequest.providedBy(request))
        self.assertEqual("juniper", request.params["name"])
        self.assertEqual("127.0.0.1", request.remote_addr)

    def test_view(self):
        # Views can be made with it.
        view = Calculator(Site(), LaunchpadTestRequest())
        self.assertTrue(verifyObject(ICalculator, view))
        self.assertEqual(3, view.add(1, 2))
