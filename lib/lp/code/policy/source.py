"""May this source be imported, and how is it written?"""

__all__ = ["Source", "check_source", "is_local_host"]

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from lazr.uri import URI, InvalidURIError

from lp.code.enums import RevisionControlSystems
from lp.code.errors import ForbiddenSource, InvalidSource, UnsupportedSourceType

SCHEMES: dict[Any, tuple[str, ...]] = {
    RevisionControlSystems.GIT: ("https", "http", "git"),
    RevisionControlSystems.SVN: ("https", "http", "svn"),
    RevisionControlSystems.BZR_SVN: ("https", "http", "svn"),
    RevisionControlSystems.HG: ("https", "http"),
    RevisionControlSystems.BZR: ("https", "http", "bzr"),
}

MAX_LENGTH = 2000
"""The bytes of UTF-8 that a URL, or a CVS root and module together, have at most.

The indexes that keep sources apart hold no more than some 2,700.
"""

HOST = re.compile(r"[a-z0-9][a-z0-9._-]*|\[[0-9a-f:.]+\]", re.IGNORECASE)
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
SSH_SCHEMES = ("ssh:", "sftp:", "git+ssh:", "svn+ssh:", "bzr+ssh:", "ssh+git:")
SCP_LIKE = re.compile(r"[^/@]+@[^/:]+:.*|(?!file:)[^/:@]+:(?!//|\d).*")
CVS_ROOT = re.compile(
    r":(?P<method>\w+):"
    r"(?:(?P<user>[^@:/]*)(?P<password>:[^@/]*)?@)?"
    r"(?P<host>[^:/@]*)(?::(?P<port>\d*))?:?"
    r"(?P<path>/.*)"
)
CVS_MODULE = re.compile(r"[A-Za-z][A-Za-z0-9_/.+-]*")


@dataclass(frozen=True)
class Source:
    """A source in its normal form.

    :ivar url: The URL, or None for CVS.
    :ivar cvs_root: The CVS root, or None.
    :ivar cvs_module: The CVS module, or None.
    """

    url: str | None = None
    cvs_root: str | None = None
    cvs_module: str | None = None


def check_source(
    rcs_type: Any,
    url: str | None,
    cvs_root: str | None,
    cvs_module: str | None,
    *,
    allow_local: bool,
    refused_hosts: Iterable[str] = (),
    addresses: Iterable[str] = (),
) -> Source:
    """Return a source in its normal form, if it may be imported.

    :param rcs_type: The source's `RevisionControlSystems`.
    :param url: Where it is, for everything but CVS.
    :param cvs_root: Where a CVS source is.
    :param cvs_module: Which module of it.
    :param allow_local: Whether this machine and private networks are allowed.
    :param refused_hosts: Hosts that nothing is imported from, subdomains included.
    :param addresses: The IP addresses that the host's name stands for, as far as the caller
        has looked them up.
    :raise UnsupportedSourceType: if sources of the type are not imported.
    :raise InvalidSource: if the source is malformed, or what it consists of does not fit
        the type.
    :raise ForbiddenSource: if the policy refuses it.
    """
    if rcs_type == RevisionControlSystems.CVS:
        if url is not None or not cvs_root or not cvs_module:
            raise InvalidSource("A CVS source needs a root and a module, and has no URL.")
        _check_text(f"{cvs_root}/{cvs_module}")
        source = Source(
            cvs_root=_check_text(cvs_root), cvs_module=check_cvs_module(_check_text(cvs_module))
        )
        host, is_local = _check_cvs_root(cvs_root)
    elif rcs_type in SCHEMES:
        if cvs_root is not None or cvs_module is not None or not url:
            raise InvalidSource(f"A {rcs_type.title} source needs a URL, and nothing of CVS.")
        url, host, is_local = _check_url(rcs_type, _check_text(url))
        source = Source(url=url)
    else:
        raise UnsupportedSourceType(f"Sources of type {rcs_type} cannot be imported.")
    is_local = is_local or is_local_host(host) or any(map(is_local_host, addresses))
    if is_local and not allow_local:
        raise ForbiddenSource(
            "The source is on this machine or in a private network; allow that with"
            " --allow-local, or with allow_local_sources in the configuration."
        )
    _check_refused(host, refused_hosts)
    return source


def _check_text(text: str) -> str:
    """Refuse what is no line of text."""
    if len(text.encode("utf-8", "replace")) > MAX_LENGTH:
        raise InvalidSource(f"The source's name is longer than {MAX_LENGTH} bytes.")
    if " " in text or not text.isprintable():
        raise InvalidSource("The source's name holds a space or a control character.")
    return text


def _check_url(rcs_type: Any, url: str) -> tuple[str, str, bool]:
    """Return a URL in its normal form, its host, and whether it is a path of this machine."""
    if url.startswith("/"):
        return _normal_path(url), "", True
    if url.startswith(SSH_SCHEMES) or SCP_LIKE.fullmatch(url):
        raise ForbiddenSource(
            "Sources behind ssh need credentials, which cannot be kept yet; use a URL of"
            f" another scheme: {', '.join(SCHEMES[rcs_type])}."
        )
    try:
        # The first reading may decode dots, which the second one then resolves.
        uri = URI(str(URI(url)))
    except InvalidURIError:
        raise InvalidSource(
            "The source's URL is malformed; write it like https://example.org/project."
        ) from None
    # The message must not repeat the URL, for the sake of the password.
    if uri.userinfo is not None:
        raise ForbiddenSource(
            "The source's URL holds a user name or a password; leave them out: credentials"
            " never travel in URLs."
        )
    if uri.scheme == "file":
        if uri.host not in ("", "localhost") or not uri.path.startswith("/"):
            raise InvalidSource("A file: URL has the form file:///path/to/repository.")
        return f"file://{_normal_path(uri.path)}", "", True
    if uri.scheme not in SCHEMES[rcs_type]:
        raise ForbiddenSource(
            f"A {rcs_type.title} source cannot have the scheme {uri.scheme}; use one of"
            f" {', '.join(SCHEMES[rcs_type])}."
        )
    if uri.query is not None or uri.fragment is not None:
        raise InvalidSource("The source's URL may have no query (?) and no fragment (#).")
    _check_host(uri.host)
    return str(uri).rstrip("/"), uri.host, False


def _normal_path(path: str) -> str:
    """Return an absolute path without doubled slashes and without a slash at its end."""
    if ".." in PurePosixPath(path).parts:
        raise InvalidSource("The source's path may not lead upwards (..).")
    return "/" + str(PurePosixPath(path)).lstrip("/")


def _check_cvs_root(cvs_root: str) -> tuple[str, bool]:
    """Return a CVS root's host, and whether it is a path of this machine."""
    if cvs_root.startswith("/"):
        return "", True
    parts = CVS_ROOT.fullmatch(cvs_root)
    if parts is None:
        raise InvalidSource(
            "The CVS root is malformed; write it like :pserver:anonymous@example.org:/cvs."
        )
    if parts["password"]:
        raise ForbiddenSource("The CVS root holds a password; leave it out.")
    if parts["method"] == "local":
        return "", True
    if parts["method"] != "pserver":
        raise ForbiddenSource("A CVS root must have the method pserver.")
    _check_host(parts["host"])
    return parts["host"], False


def _check_host(host: str) -> None:
    """Refuse what is neither a name nor an address, such as an option for a program."""
    if not HOST.fullmatch(host or ""):
        raise InvalidSource("The source has no valid name or address of a host.")


def check_cvs_module(cvs_module: str) -> str:
    """Return the name of a CVS module.

    :param cvs_module: The name.
    :raise InvalidSource: if it is malformed.
    """
    if cvs_module == "CVS" or not CVS_MODULE.fullmatch(cvs_module):
        raise InvalidSource(
            "The CVS module's name begins with a letter, goes on with letters, digits and"
            " _/.+- only, and is not CVS."
        )
    return cvs_module


def is_local_host(host: str) -> bool:
    """Say whether a host is this machine or in a private network, as far as its name tells.

    :param host: A name or an address, in any of the forms that resolvers accept; empty
        stands for no host.
    """
    host = host.strip("[]").rstrip(".").lower()
    if not host:
        return False
    if host.rpartition(".")[2] in ("localhost", "local", "internal"):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            # What resolvers take for an address, too: 127.1, 0x7f000001 and the like.
            address = ipaddress.ip_address(socket.inet_aton(host))
        except (OSError, ValueError):
            return False
    address = _embedded_address(address) or address
    return not address.is_global or address.is_multicast


def _embedded_address(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that packets to an IPv6 address are in the end sent to."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in NAT64:
        return ipaddress.IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour


def _check_refused(host: str, refused_hosts: Iterable[str]) -> None:
    """Refuse a host that is one of those from which nothing is imported, or below one."""
    host = host.rstrip(".").lower()
    for refused in refused_hosts:
        if refused and f".{host}".endswith(f".{refused.lower()}"):
            raise ForbiddenSource(f"Nothing is imported from {refused}.")
