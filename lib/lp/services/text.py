"""Text on its way into the database."""

__all__ = ["is_storable", "storable_text"]

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def is_storable(text: str) -> bool:
    """Say whether PostgreSQL can hold a text as it is; if not, no row can be found by it.

    :param text: Any text.
    """
    return storable_text(text) == text


def storable_text(text: str) -> str:
    """Return `text` with what PostgreSQL cannot hold replaced: NUL and lone surrogates.

    :param text: Any text.
    """
    text = text.replace("\0", REPLACEMENT)
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
