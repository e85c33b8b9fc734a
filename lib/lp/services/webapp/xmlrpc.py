"""The XML-RPC protocol: reading calls and writing answers, without any publishing.

Both are safe against strangers: nothing in a body can make the parser fetch or expand
anything, whatever is no call gets a fault, and every string can be written.
"""

__all__ = [
    "BODY_TOO_LARGE",
    "CONTENT_TYPE",
    "FORBIDDEN_XML",
    "INTERNAL_ERROR",
    "NOT_A_CALL",
    "NO_SUCH_METHOD",
    "UNAVAILABLE",
    "WRONG_ARGUMENTS",
    "marshal_call",
    "marshal_fault",
    "marshal_result",
    "parse_call",
    "shorten",
    "unmarshal_answer",
]

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any
from xml.parsers.expat import ExpatError
from xmlrpc.client import Error, ExpatParser, Fault, Marshaller, ResponseError, Unmarshaller

from defusedxml.common import DefusedXmlException
from defusedxml.xmlrpc import DefusedExpatParser

# The codes of the faults that concern the protocol.  Those from -32700 to -32600 mean
# what http://xmlrpc-epi.sourceforge.net/specs/rfc.fault_codes.php says; those from
# -32099 to -32000 are left to each server.
NOT_A_CALL = -32700
NO_SUCH_METHOD = -32601
WRONG_ARGUMENTS = -32602
INTERNAL_ERROR = -32603
BODY_TOO_LARGE = -32001
FORBIDDEN_XML = -32002
UNAVAILABLE = -32003

CONTENT_TYPE = "text/xml;charset=utf-8"

# What XML 1.0 cannot carry in any form, not even as a character reference.
NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

# Everything that the parser and the unmarshaller of the standard library were seen to
# raise on input that is no call.  It is not documented anywhere.
MALFORMED = (ExpatError, Error, ValueError, TypeError, LookupError, ArithmeticError)

PREAMBLE = "<?xml version='1.0' encoding='utf-8'?>\n"


def shorten(text: str, limit: int = 100) -> str:
    """Return the text, with its end replaced by ``…`` when it is long.

    :param text: Something that a stranger sent.
    :param limit: How many characters are kept.
    """
    return text if len(text) <= limit else text[: limit - 1] + "…"


def parse_call(body: bytes) -> tuple[str, tuple[Any, ...]]:
    """Read a call.

    :param body: The body of the request.
    :return: The name of the method, and its arguments: base64 is `bytes`, dateTime
        is `datetime.datetime`, nil is None.
    :raise Fault: with `NOT_A_CALL` or `FORBIDDEN_XML`.
    """
    unmarshaller = CallUnmarshaller(use_builtin_types=True)
    try:
        _feed(DefusedExpatParser(unmarshaller, forbid_dtd=True), body)
        arguments = unmarshaller.close()
        name = unmarshaller.getmethodname()
    except DefusedXmlException:
        raise Fault(
            FORBIDDEN_XML,
            "The body declares a document type, entities or external documents,"
            " which XML-RPC has no use for.",
        ) from None
    except ExpatError as error:
        raise Fault(NOT_A_CALL, f"The body is not XML: {error}.") from None
    except MALFORMED:
        raise Fault(NOT_A_CALL, "The body is not an XML-RPC call.") from None
    if not isinstance(name, str):
        raise Fault(NOT_A_CALL, "The body is not an XML-RPC call: it names no method.")
    return name.strip(), arguments


def unmarshal_answer(body: bytes) -> Any:
    """Read an answer of this server.

    :param body: What `marshal_result` or `marshal_fault` returned.
    :return: The result.
    :raise Fault: if the answer is one.
    """
    unmarshaller = Unmarshaller(use_builtin_types=True)
    _feed(ExpatParser(unmarshaller), body)
    return unmarshaller.close()[0]


def _feed(parser: Any, body: bytes) -> None:
    """Parse a body, in one piece: expat reads a token again for each piece it comes in."""
    try:
        parser.feed(body)
    except BaseException:
        # Closing breaks the cycle between the parser and its handlers; that the
        # document is incomplete is not what went wrong.
        with suppress(ExpatError):
            parser.close()
        raise
    parser.close()


def marshal_result(result: Any) -> bytes:
    """Return the body of the answer to a call that succeeded.

    :param result: None, a number, text, bytes, a `datetime.datetime`, or lists and
        dictionaries of these.
    :raise TypeError: if it is, or contains, anything else.
    :raise OverflowError: if it has an integer of more than 64 bits.
    """
    values = CarefulMarshaller().dumps((result,))
    return _encode("<methodResponse>\n", values, "</methodResponse>\n")


def marshal_fault(fault: Fault) -> bytes:
    """Return the body of the answer to a call that was refused or failed.

    :param fault: Its code is an integer, its string any text.
    """
    values = CarefulMarshaller().dumps(Fault(int(fault.faultCode), str(fault.faultString)))
    return _encode("<methodResponse>\n", values, "</methodResponse>\n")


def marshal_call(name: str, arguments: Iterable[Any]) -> bytes:
    """Return the body of a call.

    :param name: The method's name.
    :param arguments: Its arguments, of the types that `marshal_result` allows.
    :raise TypeError: as `marshal_result` does.
    :raise OverflowError: as `marshal_result` does.
    """
    values = CarefulMarshaller().dumps(tuple(arguments))
    head = f"<methodCall>\n<methodName>{_escape(name)}</methodName>\n"
    return _encode(head, values, "</methodCall>\n")


def _encode(head: str, values: str, tail: str) -> bytes:
    """Return a whole document as bytes."""
    return f"{PREAMBLE}{head}{values}{tail}".encode()


def _escape(text: str) -> str:
    """Return the text as XML that is read back as the same text, if there is any."""
    text = NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # A bare carriage return would be read as a line feed.
    return text.replace("\r", "&#13;")


class CallUnmarshaller(Unmarshaller):
    """An unmarshaller of calls only: the standard library's takes any document."""

    _begun = False

    def start(self, tag: str, attrs: Any) -> None:
        """Begin an element, which must be ``methodCall`` if it is the outermost."""
        if not self._begun:
            if tag != "methodCall":
                raise ResponseError
            self._begun = True
        super().start(tag, attrs)


class CarefulMarshaller(Marshaller):
    """A marshaller that writes each string and integer, and no stranger's attributes."""

    dispatch: dict[Any, Any] = {**Marshaller.dispatch}  # noqa: RUF012 - as the base class has it

    def __init__(self) -> None:
        super().__init__("utf-8", allow_none=True)

    def dump_integer(self, value: int, write: Callable[[str], object]) -> None:
        """Write an integer, as i8 when it does not fit into 32 bits."""
        if -(2**31) <= value < 2**31:
            write(f"<value><int>{value}</int></value>\n")
        elif -(2**63) <= value < 2**63:
            write(f"<value><i8>{value}</i8></value>\n")
        else:
            raise OverflowError("An integer has more than 64 bits.")

    dispatch[int] = dump_integer

    def dump_text(self, value: str, write: Callable[[str], object]) -> None:
        """Write text, with a mark in place of what XML cannot carry."""
        write(f"<value><string>{_escape(value)}</string></value>\n")

    dispatch[str] = dump_text

    def dump_mapping(self, value: dict[str, Any], write: Callable[[str], object]) -> None:
        """Write a struct whose names may hold any character."""
        self.dump_struct(value, write, escape=_escape)

    dispatch[dict] = dump_mapping

    def refuse_instance(self, value: object, write: Callable[[str], object]) -> None:
        """Refuse what the standard library would take apart into its attributes."""
        raise TypeError(f"A {type(value).__name__} cannot be sent by XML-RPC.")

    dispatch["_arbitrary_instance"] = refuse_instance
