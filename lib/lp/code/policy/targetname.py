"""What targets are called."""

__all__ = ["check_target_name", "default_target_name"]

import re
from urllib.parse import unquote

from lp.code.errors import InvalidTargetName

MAX_LENGTH = 255
MAX_SEGMENT_LENGTH = 100

SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]*")
FORBIDDEN_ENDINGS = (".git", ".lock")
AUTHORITY = re.compile(r"(?:\w[\w.+-]*://|:\w+:)(?:[^/@]*@)?(\[[^]]*\]|[^/:]*)(?::\d*)?:?")


def check_target_name(name: str) -> str:
    """Return a target's name.

    :param name: The name.
    :raise InvalidTargetName: if it is malformed; the message says how.
    """
    segments = name.split("/")
    problem = None
    if len(segments) < 2:
        problem = "needs two or more segments, as in gnome/gnome-terminal"
    elif len(name) > MAX_LENGTH:
        problem = f"is longer than {MAX_LENGTH} characters"
    else:
        problem = next(filter(None, map(_segment_problem, segments)), None)
    if problem:
        raise InvalidTargetName(f"The target's name {name[:MAX_LENGTH]!r} {problem}.")
    return name


def _segment_problem(segment: str) -> str | None:
    """Say what is wrong with one segment, or None."""
    if not SEGMENT.fullmatch(segment):
        return (
            f"has the segment {segment[:MAX_SEGMENT_LENGTH]!r}; each begins with a letter or a"
            " digit of ASCII, and goes on with those and ._+~- only"
        )
    if ".." in segment:
        return "may not hold two dots in a row"
    if segment.lower().endswith(FORBIDDEN_ENDINGS):
        return "may have no segment that ends in .git or .lock"
    if len(segment) > MAX_SEGMENT_LENGTH:
        return f"has a segment longer than {MAX_SEGMENT_LENGTH} characters"
    return None


def default_target_name(source: str) -> str:
    """Return the name of the target of a source for which nobody has chosen one.

    It is the host and the path, without port, user and ``.git``; what a name cannot have
    becomes ``-``.

    :param source: A URL, an absolute path, or a CVS root and module with a slash between.
    """
    if source.startswith(("/", "file:")):
        host, path = "localhost", source.removeprefix("file:").removeprefix("//localhost")
    else:
        match = AUTHORITY.match(source)
        host, path = (match[1], source[match.end() :]) if match else ("localhost", source)
    segments = [_make_segment(part) for part in [host.strip("[]"), *unquote(path).split("/")]]
    segments = [segment for segment in segments if segment]
    # Two segments are needed, even where little or nothing of the source can be in a name.
    segments += ["unnamed", "repository"][len(segments) :]
    while len("/".join(segments)) > MAX_LENGTH:
        # The ends tell most: the host, and the repository's own name.
        del segments[len(segments) // 2]
    return "/".join(segments)


def _make_segment(text: str) -> str:
    """Return the nearest thing to `text` that a segment can be; empty if nothing is left."""
    segment = re.sub(r"[^A-Za-z0-9._+~-]", "-", text)
    segment = re.sub(r"\.{2,}", ".", segment).lstrip("._+~-")[:MAX_SEGMENT_LENGTH]
    while segment.lower().endswith(FORBIDDEN_ENDINGS):
        segment = segment.rpartition(".")[0]
    return segment
