"""Text on its way into the database."""

__all__ = ["storable_text"]

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def storable_text(text: str) -> str:
    """Return `text` with what PostgreSQL cannot hold replaced: NUL and lone surrogates.

    :param text: Any text.
    """
    text = text.replace("\0", REPLACEMENT)
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
