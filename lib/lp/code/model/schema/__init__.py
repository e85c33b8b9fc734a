"""The schema of the database, as patches that are applied in the order of their numbers.

Each module ``patch_N`` has a function ``apply(store)``.  A patch that has been released is
never changed: a new one is added.
"""

__all__ = ["schema"]

from lp.services.database.schema import DatabaseSchema

schema = DatabaseSchema(__name__)
"""The utility for `IDatabaseSchema`."""
