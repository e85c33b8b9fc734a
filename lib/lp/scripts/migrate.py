"""``codeimport migrate``: bring the database's schema up to date."""

__all__ = ["migrate"]

import click
from zope.component import getUtility

from lp.services.config import config
from lp.services.database.interfaces import IDatabaseSchema
from lp.services.database.opening import open_database
from lp.services.log import configure_logging
from lp.services.startup import initialize


@click.command()
def migrate() -> None:
    """Bring the database's schema up to date.

    Needed after an upgrade of this program where the database is a server of your own; the
    embedded database is migrated by whoever opens it.
    """
    initialize(config.path)
    configure_logging(level="WARNING")
    with open_database(migrate=True) as database:
        version = getUtility(IDatabaseSchema).version
        if database.applied:
            patches = ", ".join(map(str, database.applied))
            click.echo(f"Applied {patches}: the database's schema has version {version} now.")
        else:
            click.echo(f"The database's schema has version {version} already.")
