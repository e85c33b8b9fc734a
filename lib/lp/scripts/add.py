"""``codeimport add``: register an import."""

__all__ = ["add"]

from pathlib import Path
from typing import Any

import click
from zope.component import getUtility

from lp.code.enums import RevisionControlSystems
from lp.code.errors import InvalidSource, SourceTaken
from lp.code.interfaces.codeimport import ICodeImport, ICodeImportSet
from lp.code.policy.targetname import check_target_name, default_target_name
from lp.scripts.output import json_option, show_json, timestamp
from lp.scripts.session import acting_person, run_in_database

TYPES = {
    "bzr": RevisionControlSystems.BZR,
    "cvs": RevisionControlSystems.CVS,
    "git": RevisionControlSystems.GIT,
    "hg": RevisionControlSystems.HG,
    "svn": RevisionControlSystems.SVN,
}


@click.command()
@click.argument("url")
@click.argument("target", required=False)
@click.option(
    "--type",
    "type_name",
    type=click.Choice(sorted(TYPES)),
    default="git",
    show_default=True,
    help="The system that the source is kept in.",
)
@click.option("--cvs-module", metavar="MODULE", help="The module, where URL is a CVS root.")
@click.option(
    "--allow-local", is_flag=True, help="Allow a source on this machine or in a private network."
)
@json_option
def add(
    url: str,
    target: str | None,
    type_name: str,
    cvs_module: str | None,
    allow_local: bool,
    as_json: bool,
) -> None:
    """Register the import of URL into TARGET, without contacting the source.

    TARGET is a name such as gnome/gnome-terminal; without it, the name is the URL's host and
    path. The import is due at once. Registering the same again changes nothing.
    """
    source = absolute_source(url)
    if type_name == "cvs":
        details = {"cvs_root": source, "cvs_module": cvs_module}
        target = target or default_target_name(f"{source}/{cvs_module}")
    elif cvs_module is not None:
        raise click.UsageError("--cvs-module goes with --type cvs.")
    else:
        details = {"url": source}
        target = target or default_target_name(source)
    facts = run_in_database(
        register, check_target_name(target), TYPES[type_name], details, allow_local
    )
    if as_json:
        show_json(facts)
    else:
        is_new = "Registered" if facts["registered"] else "Already registered:"
        click.echo(f"{is_new} {facts['target']}, imported from {facts['source']}.")


def absolute_source(source: str) -> str:
    """Return a source as it is stored: a path of this machine made absolute."""
    if not source.startswith(("/", "./", "../", "~/")) and source not in (".", ".."):
        return source
    try:
        return str(Path(source).expanduser().absolute().resolve())
    except (OSError, RuntimeError, ValueError):
        raise InvalidSource(f"{source} cannot be a path.") from None


def register(
    target: str, rcs_type: Any, details: dict[str, str | None], allow_local: bool
) -> dict[str, Any]:
    """Register an import unless it is registered, and return what there is to say of it."""
    imports = getUtility(ICodeImportSet)
    try:
        code_import = imports.new(
            acting_person(), target, rcs_type, **details, allow_local=allow_local
        )
    except SourceTaken as error:
        # Looked for now, as somebody else may have registered it a moment ago.
        present = imports.getByTargetName(target)
        if present is None or present.rcs_type != rcs_type:
            raise
        if present.target.unique_name != error.target:
            raise
        return describe(present, registered=False)
    return describe(code_import, registered=True)


def describe(code_import: ICodeImport, *, registered: bool) -> dict[str, Any]:
    """Return what there is to say of an import that is registered now."""
    job = code_import.import_job
    return {
        "target": code_import.target.unique_name,
        "source": code_import.getImportDetailsForDisplay(),
        "registered": registered,
        "date_due": timestamp(job and job.date_due),
    }
