"""The database: an embedded server or one given by DSN, Storm's stores, and the schema."""
