"""The limit to what a request may weigh."""

import io
import unittest
from xmlrpc.client import Fault

from webob import Request, Response

from lp.services.webapp.limits import CHUNK, BodyLimit
from lp.services.webapp.xmlrpc import BODY_TOO_LARGE, unmarshal_answer

LIMIT = 100_000


class CountedBody(io.RawIOBase):
    """A body that ends after a number of bytes, and remembers how it was read."""

    def __init__(self, length: int) -> None:
        self.left = length
        self.largest_read = 0

    def seek(self, offset: int, whence: int = 0) -> int:
        """Stay: WebOb's request, which is not the server, winds its body back."""
        return offset

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        length = self.left if size < 0 else min(size, self.left)
        self.largest_read = max(self.largest_read, length)
        self.left -= length
        return b"x" * length


def echo_length(environ, start_response):
    """Answer how long the body is, and is said to be."""
    length = len(environ["wsgi.input"].read())
    text = f"{length} {environ.get('CONTENT_LENGTH')}"
    return Response(text, content_type="text/plain")(environ, start_response)


class TestBodyLimit(unittest.TestCase):
    """What reaches the application."""

    def post(self, body, content_type="text/xml", **environ):
        """Send a body of declared length through the limit."""
        request = Request.blank("/", method="POST", body=body, content_type=content_type)
        request.environ.update(environ)
        return request.get_response(BodyLimit(echo_length, LIMIT))

    def post_chunked(self, body, content_type="text/xml; charset=utf-8"):
        """Send a body of undeclared length through the limit."""
        request = Request.blank("/", method="POST", content_type=content_type)
        request.environ.pop("CONTENT_LENGTH", None)
        request.environ["wsgi.input"] = body
        request.environ["wsgi.input_terminated"] = True
        request.environ["HTTP_TRANSFER_ENCODING"] = "chunked"
        return request.get_response(BodyLimit(echo_length, LIMIT))

    def assert_refused(self, response):
        """Check that an answer is the fault, as every client expects one."""
        self.assertEqual(200, response.status_code)
        self.assertEqual("text/xml;charset=utf-8", response.headers["Content-Type"])
        with self.assertRaises(Fault) as caught:
            unmarshal_answer(response.body)
        self.assertEqual(BODY_TOO_LARGE, caught.exception.faultCode)
        self.assertEqual(
            "The request is larger than 100000 bytes, the most that is accepted.",
            caught.exception.faultString,
        )

    def test_declared_length_at_the_limit(self):
        # The limit itself is allowed.
        self.assertEqual("100000 100000", self.post(b"x" * LIMIT).text)

    def test_declared_length_above_the_limit(self):
        # One byte more is not.
        with self.assertLogs("lp.services.webapp.limits", "INFO") as logs:
            self.assert_refused(self.post(b"x" * (LIMIT + 1)))
        self.assertEqual(["100001"], [record.declared for record in logs.records])

    def test_declared_length_is_drained_in_pieces(self):
        # The rest is read, for the client's sake, but never held.
        body = CountedBody(100_000_000)
        response = self.post(b"", **{"wsgi.input": body, "CONTENT_LENGTH": "100000000"})
        self.assert_refused(response)
        self.assertEqual((0, CHUNK), (body.left, body.largest_read))

    def test_undeclared_length_at_the_limit(self):
        # A body without a length gets one.
        self.assertEqual("100000 100000", self.post_chunked(CountedBody(LIMIT)).text)

    def test_undeclared_length_above_the_limit(self):
        # It is counted while it is read.
        body = CountedBody(100_000_000)
        self.assert_refused(self.post_chunked(body))
        self.assertEqual((0, CHUNK), (body.left, body.largest_read))

    def test_large_body_of_another_type(self):
        # Who does not speak XML-RPC is told by HTTP's own means.
        response = self.post(b"x" * (LIMIT + 1), content_type="application/octet-stream")
        self.assertEqual(413, response.status_code)
        self.assertEqual("text/plain", response.content_type)
        self.assertEqual(
            "The request is larger than 100000 bytes, the most that is accepted.\n",
            response.text,
        )

    def test_body_is_read_again(self):
        # A second attempt finds what the first one found, and nothing was copied for it.
        def read_twice(environ, start_response):
            request = Request(environ)
            request.make_body_seekable()
            first = request.body_file.read()
            request = Request(environ)
            text = f"{len(first)} {first == request.body}"
            return Response(text, content_type="text/plain")(environ, start_response)

        request = Request.blank("/", method="POST", body=b"x" * LIMIT)
        response = request.get_response(BodyLimit(read_twice, LIMIT))
        self.assertEqual("100000 True", response.text)

    def test_body_that_breaks_off(self):
        # A client that vanished leaves a body shorter than it declared.
        response = self.post(b"", **{"wsgi.input": CountedBody(10), "CONTENT_LENGTH": "100"})
        self.assertEqual("10 10", response.text)

    def test_no_body(self):
        # A request without a body passes.
        response = Request.blank("/").get_response(BodyLimit(echo_length, LIMIT))
        self.assertEqual("0 None", response.text)

    def test_length_that_is_no_number(self):
        # It counts as undeclared.
        response = self.post(b"", CONTENT_LENGTH="many")
        self.assertEqual("0 many", response.text)
