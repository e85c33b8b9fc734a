"""XML-RPC calls within the process, through the same WSGI application as the server's."""

__all__ = ["XMLRPCTestTransport"]

from typing import Any
from xmlrpc.client import ProtocolError, Transport

import transaction
from webob import Request

from lp.xmlrpc.application import make_private_application


class XMLRPCTestTransport(Transport):
    """A transport for `xmlrpc.client.ServerProxy` that calls the private instance.

    A server elsewhere would see nothing that the caller has not committed.  So the caller's
    transaction is committed before each call, and a new one begun after it.
    """

    def request(self, host: Any, handler: str, request_body: Any, verbose: bool = False) -> Any:
        """Call, and return the answer's values.

        :param host: The server's name; any will do.
        :param handler: The path of what is called.
        :param request_body: The call as XML.
        :param verbose: Ignored.
        :raise xmlrpc.client.Fault: if the call is refused.
        :raise xmlrpc.client.ProtocolError: if the answer is not 200.
        """
        transaction.commit()
        try:
            request = Request.blank(
                handler, method="POST", content_type="text/xml", body=bytes(request_body)
            )
            response = request.get_response(make_private_application())
        finally:
            transaction.begin()
        if response.status_code != 200:
            raise ProtocolError(
                f"{host}{handler}", response.status_code, response.status, dict(response.headers)
            )
        parser, unmarshaller = self.getparser()
        parser.feed(response.body)
        parser.close()
        return unmarshaller.close()
