"""The XML-RPC protocol: calls that are read, and answers that are written."""

import unittest
import xmlrpc.client
from datetime import datetime
from xmlrpc.client import Fault

from hypothesis import given, settings
from hypothesis import strategies as st

from lp.services.webapp.xmlrpc import (
    FORBIDDEN_XML,
    NOT_A_CALL,
    marshal_call,
    marshal_fault,
    marshal_result,
    parse_call,
    shorten,
    unmarshal_answer,
)

TAGS = (
    *("methodCall", "methodName", "params", "param", "value", "int", "i8", "string", "struct"),
    *("member", "name", "array", "data", "base64", "dateTime.iso8601", "nil", "boolean"),
    *("double", "bigdecimal", "fault", "ex:nil", "unheardOf"),
)

# Characters that XML can carry, lone carriage returns included.
LEGAL_TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="\ufffe\uffff", exclude_categories=["Cc"])
    | st.sampled_from("\t\n\r")
)
# The protocol's moments have no time zone, nor parts of a second.
EARLIEST = datetime(1000, 1, 1)  # noqa: DTZ001
NOON = datetime(2026, 11, 24, 12, 0, 0)  # noqa: DTZ001
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | LEGAL_TEXT
    | st.binary()
    | st.datetimes(EARLIEST).map(lambda moment: moment.replace(microsecond=0)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(LEGAL_TEXT, inner, max_size=4),
    max_leaves=12,
)
ELEMENTS = st.recursive(
    st.sampled_from(["", "1", "x", "AA==", "20261124T10:00:00"]),
    lambda inner: st.tuples(st.sampled_from(TAGS), st.lists(inner, max_size=4)).map(
        lambda element: f"<{element[0]}>{''.join(element[1])}</{element[0]}>"
    ),
    max_leaves=20,
)


def call_with(value: str) -> bytes:
    """Return a call of one argument, which is XML."""
    return (
        "<?xml version='1.0'?><methodCall><methodName>m</methodName><params><param>"
        f"<value>{value}</value></param></params></methodCall>"
    ).encode()


class TestParseCall(unittest.TestCase):
    """What is read as a call, and what is refused."""

    def assert_refused(self, code: int, body: bytes) -> None:
        """Check that a body gets a fault, in one sentence."""
        with self.assertRaises(Fault) as caught:
            parse_call(body)
        self.assertEqual(code, caught.exception.faultCode)
        self.assertRegex(caught.exception.faultString, r"\AThe body [^\n]*\.\Z")

    def test_parse_call_arguments(self):
        # A call is a name and arguments.
        body = xmlrpc.client.dumps(("juniper", 3), "getJobForMachine").encode()
        self.assertEqual(("getJobForMachine", ("juniper", 3)), parse_call(body))

    def test_parse_call_without_params(self):
        # Some clients leave out the params of a method that takes none.
        for params in ("", "<params/>", "<params></params>"):
            with self.subTest(params=params):
                body = f"<methodCall><methodName>m</methodName>{params}</methodCall>"
                self.assertEqual(("m", ()), parse_call(body.encode()))

    def test_parse_call_types(self):
        # Every type has its counterpart, untagged text included.
        for value, expected in {
            "<int>-5</int>": -5,
            "<i4>5</i4>": 5,
            "<i8>1099511627776</i8>": 2**40,
            "<boolean>1</boolean>": True,
            "<double>1.5</double>": 1.5,
            "<string>a &lt; b</string>": "a < b",
            "untagged": "untagged",
            "": "",
            "<nil/>": None,
            "<base64>AAH/</base64>": b"\x00\x01\xff",
            "<dateTime.iso8601>20261124T12:00:00</dateTime.iso8601>": NOON,
            "<array><data/></array>": [],
            "<struct></struct>": {},
            "<struct><member><name>a</name><value><array><data><value><struct><member>"
            "<name>b</name><value><nil/></value></member></struct></value></data></array>"
            "</value></member></struct>": {"a": [{"b": None}]},
        }.items():
            with self.subTest(value=value):
                self.assertEqual((expected,), parse_call(call_with(value))[1])

    def test_parse_call_other_encoding(self):
        # The document says itself how it is encoded.
        text = "<?xml version='1.0' encoding='iso-8859-1'?>" + call_with("é").decode()[21:]
        self.assertEqual(("é",), parse_call(text.encode("latin-1"))[1])

    def test_parse_call_not_xml(self):
        # What is no XML is told so.
        for body in (
            b"",
            b"\0",
            b"{}",
            b"<methodCall>",
            b"<a></b>",
            b"\xff\xfe",
            b"GET / HTTP/1.0",
        ):
            with self.subTest(body=body):
                self.assert_refused(NOT_A_CALL, body)

    def test_parse_call_characters_that_xml_cannot_carry(self):
        # A control character in a string makes the document malformed, in whatever form.
        for text in ("\0", "\x1b", "&#0;", "&#1;", "\ufffe"):
            with self.subTest(text=text):
                self.assert_refused(NOT_A_CALL, call_with(f"<string>a{text}b</string>"))

    def test_parse_call_not_a_call(self):
        # XML that is no call is told so.
        answer = marshal_fault(Fault(360, "Job 7 not found."))
        for body in (
            b"<html/>",
            answer,
            marshal_result(1),
            b"<methodCall/>",
            b"<methodCall><params/></methodCall>",
            b"<call><methodName>m</methodName></call>",
        ):
            with self.subTest(body=body):
                self.assert_refused(NOT_A_CALL, body)

    def test_parse_call_malformed_values(self):
        # A value that is not of its type is no part of a call.
        for value in (
            "<int>seven</int>",
            f"<int>{'9' * 10_000}</int>",
            "<boolean>2</boolean>",
            "<double>x</double>",
            "<base64>A</base64>",
            "<base64>\N{SNOWMAN}</base64>",
            "<dateTime.iso8601>tomorrow</dateTime.iso8601>",
            "<struct><value>1</value></struct>",
            "<unheardOf>1</unheardOf>",
        ):
            with self.subTest(value=value):
                self.assert_refused(NOT_A_CALL, call_with(value))

    def test_parse_call_entities(self):
        # No entity is expanded, and no other document is asked for.
        for declaration in (
            "<!DOCTYPE m>",
            "<!DOCTYPE m SYSTEM 'http://127.0.0.1:1/x.dtd'>",
            "<!DOCTYPE m [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;'>]>",
            "<!DOCTYPE m [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>",
            "<!DOCTYPE m [<!ENTITY % a SYSTEM 'file:///etc/passwd'> %a;]>",
        ):
            with self.subTest(declaration=declaration):
                self.assert_refused(FORBIDDEN_XML, declaration.encode() + call_with("1")[21:])

    def test_parse_call_deep_nesting(self):
        # Depth is no danger: nothing recurses.
        depth = 50_000
        value = "<array><data><value>" * depth + "</value></data></array>" * depth
        self.assertEqual("m", parse_call(call_with(value))[0])

    @given(st.binary() | ELEMENTS.map(str.encode) | ELEMENTS.map(call_with))
    @settings(deadline=None)
    def test_parse_call_anything(self, body):
        # Whatever comes is a call or gets a fault of ours.
        try:
            parse_call(body)
        except Fault as fault:
            self.assertIn(fault.faultCode, (NOT_A_CALL, FORBIDDEN_XML))

    @given(st.lists(VALUES, max_size=3))
    @settings(deadline=None)
    def test_parse_call_reads_what_was_written(self, arguments):
        # Nothing changes on the way, not even a carriage return.
        self.assertEqual(("m", tuple(arguments)), parse_call(marshal_call("m", arguments)))


class TestMarshal(unittest.TestCase):
    """What answers look like."""

    @given(VALUES)
    @settings(deadline=None)
    def test_marshal_result_is_read_by_the_standard_library(self, result):
        # Every client reads what we write.
        body = marshal_result(result)
        read = xmlrpc.client.loads(body, use_builtin_types=True)
        self.assertEqual(((result,), None), read)
        self.assertEqual(result, unmarshal_answer(body))

    def test_marshal_result_nil(self):
        # None is nil.
        self.assertIn(b"<value><nil/></value>", marshal_result(None))

    def test_marshal_result_large_integers(self):
        # What does not fit into 32 bits is an i8, and anything larger an error of ours.
        self.assertIn(b"<int>2147483647</int>", marshal_result(2**31 - 1))
        self.assertIn(b"<i8>2147483648</i8>", marshal_result(2**31))
        self.assertIn(b"<int>-2147483648</int>", marshal_result(-(2**31)))
        self.assertIn(b"<i8>-2147483649</i8>", marshal_result(-(2**31) - 1))
        self.assertRaises(OverflowError, marshal_result, 2**63)

    def test_marshal_result_characters_that_xml_cannot_carry(self):
        # They are replaced, in names as well, and never fatal.
        result = {"na\0me": "a\0b\x1b\ufffe\ud800c\x7f"}
        self.assertEqual(
            {"na\ufffdme": "a\ufffdb\ufffd\ufffd\ufffdc\x7f"},
            unmarshal_answer(marshal_result(result)),
        )

    def test_marshal_result_objects(self):
        # No object is taken apart into its attributes.
        for result in (object(), datetime, [unittest.TestCase()], {"a": {1, 2}}, {1: 2}):
            with self.subTest(result=result):
                self.assertRaises(TypeError, marshal_result, result)

    def test_marshal_fault(self):
        # A fault has a code and a sentence, whatever is in the sentence.
        with self.assertRaises(Fault) as caught:
            unmarshal_answer(marshal_fault(Fault(360, "Job <7> & \0 not found.")))
        self.assertEqual(360, caught.exception.faultCode)
        self.assertEqual("Job <7> & \ufffd not found.", caught.exception.faultString)


class TestShorten(unittest.TestCase):
    """Texts of strangers, in messages of ours."""

    def test_shorten(self):
        # Short text stays, long text loses its end.
        self.assertEqual("a" * 100, shorten("a" * 100))
        self.assertEqual("a" * 99 + "…", shorten("a" * 101))
