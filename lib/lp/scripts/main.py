"""The ``codeimport`` command."""

__all__ = ["command", "main"]

import os
import sys
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, NoReturn

import click
from storm.exceptions import DisconnectionError

from lp.code.errors import CodeImportError
from lp.registry.errors import InvalidPersonName
from lp.services.config import config
from lp.services.errors import ServiceError

SUBCOMMANDS = ("add", "doctor", "list", "machine", "machines", "migrate", "serve", "show")
INTERRUPTED = 130

REFUSALS = (ServiceError, CodeImportError, InvalidPersonName)
"""Errors whose message is the sentence to show, and which know their exit code."""


class Subcommands(click.Group):
    """A group whose commands are imported when they are called, and not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the subcommands."""
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a subcommand, or None if there is none of that name."""
        if cmd_name not in SUBCOMMANDS:
            return None
        subcommand: click.Command = getattr(import_module(f"lp.scripts.{cmd_name}"), cmd_name)
        return subcommand


@click.group(
    cls=Subcommands,
    name="codeimport",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--config",
    "config_path",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Read this configuration file.",
)
@click.option("--as", "person_name", metavar="NAME", help="Act as this person.")
@click.version_option(metadata.version("codeimports"), prog_name="codeimport")
@click.pass_context
def command(context: click.Context, config_path: Path | None, person_name: str | None) -> None:
    """Keep Git mirrors of other people's repositories up to date.

    All state lives in one folder: the environment's CODEIMPORT_HOME, else ./var.
    """
    config.load(config_path)
    context.obj = person_name


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command, and exit.

    :param arguments: The command line's arguments; None means the process's own.
    """
    sys.exit(run(arguments))


def run(arguments: list[str] | None) -> int:
    """Run the command, and return its exit code; a refusal is one line on standard error."""
    try:
        result: Any = command.main(arguments, prog_name="codeimport", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return os.EX_USAGE
    except BrokenPipeError:
        # Whoever read our output has seen enough; nothing is left to be flushed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return os.EX_OK
    except REFUSALS as error:
        click.echo(f"codeimport: {error}", err=True)
        return error.exit_code
    except DisconnectionError:
        click.echo("codeimport: The connection to the database was lost; try again.", err=True)
        return os.EX_TEMPFAIL
    except (click.Abort, KeyboardInterrupt):
        click.echo("codeimport: interrupted.", err=True)
        result = INTERRUPTED
    return result if isinstance(result, int) else os.EX_OK


if __name__ == "__main__":
    main()
