"""Two patches, for tests of opening a database."""
