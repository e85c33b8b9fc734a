"""A table."""


def apply(store):
    """Make it."""
    store.execute("CREATE TABLE fruit (id serial PRIMARY KEY, name text)")
