"""A row."""


def apply(store):
    """Insert it."""
    store.execute("INSERT INTO fruit (name) VALUES ('fig')")
