"""SQL that models and queries share."""

__all__ = ["DEFAULT", "UTC_NOW"]

from storm.expr import SQL

# The transaction's clock.  Every timestamp column is a timestamptz, so no zone is named here.
UTC_NOW = SQL("CURRENT_TIMESTAMP")

# The column's own default, for a value that an INSERT leaves to the database.
DEFAULT = SQL("DEFAULT")
