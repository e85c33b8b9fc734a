"""Real servers and real HTTP: the small site's, and ``codeimport serve``."""

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
import xmlrpc.client
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from lp.services.webapp.xmlrpc import (
    BODY_TOO_LARGE,
    FORBIDDEN_XML,
    marshal_call,
    unmarshal_answer,
)
from lp.testing import TestCase
from lp.testing.layers import ComponentLayer, DatabaseLayer
from lp.testing.server import ServerProcess
from tests.siteprocess import SiteProcess, is_listening, wait_until

HUGE = 100_000_000


class SiteLayer(ComponentLayer):
    """A server of the small site."""

    site: SiteProcess

    @classmethod
    def setUp(cls):
        """Start the server."""
        SiteLayer.site = SiteProcess(ComponentLayer.home, 2)
        SiteLayer.site.start()

    @classmethod
    def tearDown(cls):
        """Stop the server."""
        SiteLayer.site.stop()


class TestHTTP(TestCase):
    """What clients of all kinds meet."""

    layer = SiteLayer

    def setUp(self):
        super().setUp()
        self.url = SiteLayer.site.url
        self.server = xmlrpc.client.ServerProxy(self.url, allow_none=True, use_builtin_types=True)
        self.addCleanup(self.server("close"))

    def connect(self):
        """Return a connection to the server."""
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
        self.addCleanup(connection.close)
        return connection

    def post(self, connection, body, **headers):
        """Send a body, and return the response and its body."""
        headers = {"Content-Type": "text/xml", **headers}
        connection.request("POST", "/calculator", body, headers)
        response = connection.getresponse()
        return response, response.read()

    def assert_fault(self, code, body):
        """Check that an answer is a fault."""
        with self.assertRaises(xmlrpc.client.Fault) as caught:
            unmarshal_answer(body)
        self.assertEqual(code, caught.exception.faultCode)

    def test_call(self):
        # The standard library's client calls, and gets what it sent.
        value = [{"a": b"\0\xff", "b": None, "c": "é\n"}, True, -1.5]
        self.assertEqual(value, self.server.echo(value))

    def test_multicall(self):
        # So do many calls at once.
        multicall = xmlrpc.client.MultiCall(self.server)
        multicall.add(1, 2)
        multicall.system.listMethods()
        self.assertEqual(3, multicall()[0])

    def test_call_without_any_client(self):
        # The least that HTTP asks for is enough.
        body = b"<methodCall><methodName>add</methodName><params><param><value><i4>1</i4>"
        body += b"</value></param></params></methodCall>"
        head = "POST /calculator HTTP/1.0\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n"
        address = urlsplit(self.url)
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.sendall(head.format(len(body)).encode() + body)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        head, _, body = answer.partition(b"\r\n\r\n")
        self.assertRegex(head, rb"\AHTTP/1\.0 200 OK\r\n")
        self.assertEqual(2, unmarshal_answer(body))

    def test_parallel_calls(self):
        # Calls do not wait for each other.
        with ThreadPoolExecutor(6) as threads:

            def call(_):
                with xmlrpc.client.ServerProxy(self.url) as server:
                    return server.sleep(0.3)

            processes = set(threads.map(call, range(12)))
        self.assertEqual(2, len(processes))

    def test_many_idle_connections(self):
        # Machines that keep their connections open keep nobody else out.
        connections = [self.connect() for _ in range(100)]
        for connection in connections:
            _, body = self.post(connection, marshal_call("add", [1, 2]))
            self.assertEqual(3, unmarshal_answer(body))
        self.assertEqual(3, self.server.add(1, 2))

    def test_huge_body(self):
        # The client gets the fault rather than a broken connection, and can go on.
        for _ in range(3):
            with self.assertRaises(xmlrpc.client.Fault) as caught:
                self.server.echo("x" * HUGE)
            self.assertEqual(BODY_TOO_LARGE, caught.exception.faultCode)
            self.assertEqual(3, self.server.add(1, 2))

    def test_huge_body_in_chunks(self):
        # Nor does it help to declare no length.
        pieces = (b"x" * 1_000_000 for _ in range(100))
        connection = self.connect()
        response, body = self.post(connection, pieces)
        self.assertEqual(200, response.status)
        self.assert_fault(BODY_TOO_LARGE, body)
        _, body = self.post(connection, marshal_call("add", [1, 2]))
        self.assertEqual(3, unmarshal_answer(body))

    @unittest.skipUnless(shutil.which("curl"), "needs curl")
    def test_huge_body_by_curl(self):
        # curl asks first whether it may send so much.
        with tempfile.NamedTemporaryFile() as file:
            file.truncate(HUGE)
            for encoding in ("", "Transfer-Encoding: chunked"):
                command = ["curl", "-sS", "-H", "Content-Type: text/xml", "-H", encoding]
                command += ["--noproxy", "*", "--data-binary", f"@{file.name}", self.url]
                done = subprocess.run(command, capture_output=True, check=True)
                self.assert_fault(BODY_TOO_LARGE, done.stdout)

    def test_body_in_chunks(self):
        # A body of undeclared length is a call like any other.
        call = marshal_call("echo", ["x" * 200_000])
        pieces = (call[start : start + 1000] for start in range(0, len(call), 1000))
        _, body = self.post(self.connect(), pieces)
        self.assertEqual("x" * 200_000, unmarshal_answer(body))

    def test_entity_expansion(self):
        # A document that would grow without end is refused at once.
        entities = "".join(
            f"<!ENTITY e{number} '{f'&e{number - 1};' * 10}'>" for number in range(1, 20)
        )
        bomb = f"<!DOCTYPE m [<!ENTITY e0 'x'>{entities}]><methodCall>&e19;</methodCall>"
        response, body = self.post(self.connect(), bomb.encode())
        self.assertEqual(200, response.status)
        self.assert_fault(FORBIDDEN_XML, body)

    def test_client_that_breaks_off(self):
        # A client that vanishes in the middle of its call harms nobody.
        address = urlsplit(self.url)
        for _ in range(20):
            with socket.create_connection((address.hostname, address.port)) as connection:
                connection.sendall(
                    b"POST /calculator HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\n"
                    b"Content-Length: 100000\r\n\r\n<methodCall>"
                )
        self.assertEqual(3, self.server.add(1, 2))

    def test_statuses(self):
        # What is no call is answered by HTTP's own means.
        for method, path, status in (("GET", "/calculator", 405), ("POST", "/x", 404)):
            connection = self.connect()
            connection.request(method, path, b"", {"Content-Type": "text/xml"})
            response = connection.getresponse()
            self.assertEqual(status, response.status)
            self.assertRegex(response.read().decode(), r"\A[^\n]*\.\n\Z")


class TestServe(TestCase):
    """The command, on a database of its own."""

    layer = DatabaseLayer

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = Path(folder.name)

    def make_server(self, *arguments, before=()):
        """Return a server that is not started yet, and will be stopped."""
        server = ServerProcess(self.home, DatabaseLayer.dsn, *arguments)
        place = server._command.index("serve")
        server._command[place:place] = before
        self.addCleanup(lambda: server.url and server.stop())
        return server

    def run_command(self, *arguments):
        """Run the command to its end, and return it."""
        environment = {
            **os.environ,
            "CODEIMPORT_HOME": str(self.home),
            "CODEIMPORT_DATABASE": DatabaseLayer.dsn,
        }
        command = [sys.executable, "-m", "lp.scripts.main", "serve", *arguments]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    def assert_refused(self, exit_code, pattern, done):
        """Check that a command has ended with one sentence."""
        self.assertEqual(exit_code, done.returncode, done.stderr)
        self.assertRegex(done.stderr, rf"\Acodeimport: {pattern}\n\Z")
        self.assertEqual("", done.stdout)

    def test_ready_when_it_says_so(self):
        # The first call after the line is answered, without a second attempt.
        url = self.make_server("--workers", "1").start()
        self.assertRegex(url, r"\Ahttp://127\.0\.0\.1:\d+/codeimportscheduler\Z")
        address = urlsplit(url)
        connection = http.client.HTTPConnection(address.hostname, address.port)
        self.addCleanup(connection.close)
        body = marshal_call("getJobForMachine", ["juniper", 1])
        connection.request("POST", address.path, body, {"Content-Type": "text/xml"})
        self.assertEqual(0, unmarshal_answer(connection.getresponse().read()))

    def test_stopped_by_sigterm(self):
        # A supervisor's stop is a success, and the port is free.
        server = self.make_server()
        url = server.start()
        self.assertEqual(0, server.stop())
        self.assertFalse(is_listening(url))

    def test_stopped_while_it_starts(self):
        # At any moment of its start it can be stopped, and leaves nothing behind.
        for delay in (0.2, 0.5, 0.8, 1.1, 1.4):
            with self.subTest(delay=delay):
                server = self.make_server()
                quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
                process = subprocess.Popen(server._command, env=server._environment, **quiet)
                self.assertFalse(wait_until(lambda: process.poll() is not None, delay))  # noqa: B023
                process.send_signal(signal.SIGTERM)
                self.assertIn(process.wait(30), (0, -signal.SIGTERM))

    def test_configuration_reaches_the_workers(self):
        # They read the same file as the main process.
        path = self.home / "other.conf"
        path.write_text("[codeimportscheduler]\nmax_body: 1000\nworkers: 1\n")
        server = self.make_server(before=["--config", str(path)])
        with xmlrpc.client.ServerProxy(server.start()) as proxy:
            with self.assertRaises(xmlrpc.client.Fault) as caught:
                proxy.updateHeartbeat(1, "x" * 2000)
            self.assertEqual(BODY_TOO_LARGE, caught.exception.faultCode)

    def test_log_file(self):
        # Everything is in the file, from all processes, and nothing else is printed.
        path = self.home / "folder" / "scheduler.log"
        path.parent.mkdir()
        server = self.make_server("--log-file", str(path), "--workers", "2")
        proxy = xmlrpc.client.ServerProxy(server.start())
        with proxy, self.assertRaises(xmlrpc.client.Fault):
            proxy.updateHeartbeat(7, "")
        wait_until(lambda: path.read_text().count("worker started") == 2)
        self.assertEqual(0, server.stop())
        lines = path.read_text().splitlines()
        form = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [A-Z]+ [\w.]+ .*")
        self.assertEqual([], [line for line in lines if not form.fullmatch(line)])
        self.assertEqual(2, sum("worker started" in line for line in lines))
        [refusal] = [line for line in lines if "call refused" in line]
        self.assertIn('code=360 method=updateHeartbeat fault="Job 7 not found."', refusal)
        self.assertEqual("", server.log_path.read_text())

    def test_port_that_is_taken(self):
        # Another program's port is not shared.
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = str(other.getsockname()[1])
            self.assert_refused(
                os.EX_UNAVAILABLE,
                f"Port {port} is taken: stop what uses it, or choose another one.",
                self.run_command("--port", port),
            )

    def test_port_of_another_server(self):
        # Nor is the port of another scheduler, which goes on undisturbed.
        url = self.make_server().start()
        port = str(urlsplit(url).port)
        done = self.run_command("--port", port)
        self.assert_refused(os.EX_UNAVAILABLE, f"Port {port} is taken: .*", done)
        self.assertTrue(is_listening(url))

    def test_address_of_another_machine(self):
        # It cannot listen where it is not.
        done = self.run_command("--host", "192.0.2.1", "--port", "0")
        self.assert_refused(
            os.EX_UNAVAILABLE,
            r"Nothing can listen on 192\.0\.2\.1, port 0: Cannot assign requested address\.",
            done,
        )

    def test_host_that_does_not_exist(self):
        # A name must have an address.
        done = self.run_command("--host", "does-not-exist.invalid", "--port", "0")
        pattern = r"Nothing can listen on does-not-exist\.invalid, port 0: .*\."
        self.assert_refused(os.EX_UNAVAILABLE, pattern, done)

    def test_log_file_that_cannot_be_opened(self):
        # It does not begin without its log.
        done = self.run_command("--port", "0", "--log-file", str(self.home / "no" / "log"))
        self.assert_refused(os.EX_CANTCREAT, "The log file .* cannot be opened: .*", done)

    def test_usage(self):
        # Numbers that make no sense are errors of usage.
        for arguments in (["--port", "65536"], ["--workers", "0"], ["--unknown"], ["x"]):
            with self.subTest(arguments=arguments):
                self.assertEqual(os.EX_USAGE, self.run_command(*arguments).returncode)
