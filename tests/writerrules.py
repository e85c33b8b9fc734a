"""Who writes jobs, and who begins and ends transactions: rules read from the sources alone.

`tests/test_layers.py` applies them to the whole library. Like the layers' they have no
exceptions.
"""

__all__ = ["check_job_columns", "check_job_statements", "check_transactions"]

import ast
import re
from collections.abc import Callable, Iterator

from tests.layerrules import SERVICES, Module, called_name, matches

JOB_WRITER = "lp.code.model.codeimportjobworkflow"
JOB_TABLE = "codeimportjob"
JOB_COLUMNS = {
    "date_due", "date_started", "heartbeat", "logtail", "machine", "machine_id",
    "requesting_user", "requesting_user_id", "state",
}  # fmt: skip
PATCHES = ("lp.code.model.schema",)
WRITES_JOBS = re.compile(
    r"\b(insert\s+into|update|delete\s+from|merge\s+into|truncate(\s+table)?|copy)\s+"
    rf'(only\s+)?("?public"?\.)?"?{JOB_TABLE}\b',
    re.IGNORECASE,
)

EDGES = ("lp.services.webapp", "lp.services.database", "lp.scripts", "lp.testing")
ENDINGS = {"abort", "begin", "commit", "rollback"}
RUNNER = ("lp.services.database.transactions.run",)


def root_name(node: ast.expr) -> str:
    """Return the name that an expression such as `a.b().c` starts from, or ''."""
    while isinstance(node, ast.Attribute | ast.Call):
        node = node.value if isinstance(node, ast.Attribute) else node.func
    return node.id if isinstance(node, ast.Name) else ""


def check_job_columns(module: Module) -> list[str]:
    """Return where `module` may assign a job's columns, which only the workflow does.

    Any object's attribute of such a name may be a job's, but for the own one of a class that is
    no job (`self.state`), and for that of an object of such a class that the function has just
    made. Services do not know jobs.
    """
    if module.name == JOB_WRITER or module.is_in(SERVICES):
        return []
    own = _own_attributes(module)
    return [
        f"{module.name}:{node.lineno} writes what may be a job: {ast.unparse(node):.60}"
        for node in module.nodes
        if node not in own and _WRITERS.get(type(node), _writes_nothing)(node)
    ]


def _own_attributes(module: Module) -> set[ast.AST]:
    others = [
        node for node in module.nodes if isinstance(node, ast.ClassDef) and not _is_job(node)
    ]
    names = {node.name for node in others}
    own = {node for owner in others for node in _attributes_of(owner, {"self"})}
    for function in module.nodes:
        if isinstance(function, ast.FunctionDef):
            own |= set(_attributes_of(function, _variables_made(function, names)))
    return own


def _attributes_of(scope: ast.AST, names: set[str]) -> Iterator[ast.Attribute]:
    for node in ast.walk(scope):
        match node:
            case ast.Attribute(value=ast.Name(id=name)) if name in names:
                yield node


def _variables_made(function: ast.FunctionDef, classes: set[str]) -> set[str]:
    # Variables that are never anything else than a new object of one of the classes.
    made, other = set(), set()
    news = set()
    for node in ast.walk(function):
        match node:
            case ast.Assign(
                targets=[ast.Name() as target], value=ast.Call(func=ast.Name(id=name))
            ):
                if name in classes:
                    news.add(target)
            case ast.arg(arg=name):
                other.add(name)
    for node in ast.walk(function):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                (made if node in news else other).add(name)
    return made - other


def _is_job(owner: ast.ClassDef) -> bool:
    return any(
        isinstance(statement, ast.Assign)
        and ast.unparse(statement) == f"__storm_table__ = '{JOB_TABLE}'"
        for statement in owner.body
    )


def _writes_nothing(node: ast.AST) -> bool:
    return False


def _writes_attribute(node: ast.Attribute) -> bool:
    return node.attr in JOB_COLUMNS and not isinstance(node.ctx, ast.Load)


def _writes_by_call(node: ast.Call) -> bool:
    match called_name(node), node.args:
        case "setattr", [_, ast.Constant(value=name), *_]:
            return name in JOB_COLUMNS
        case "set", _:
            return any(keyword.arg in JOB_COLUMNS for keyword in node.keywords)
        case (("Insert" | "Update" | "Delete"), _):
            return any(
                isinstance(part, ast.Name) and part.id == "CodeImportJob"
                for part in ast.walk(node)
            )
    return False


_WRITERS: dict[type[ast.AST], Callable] = {
    ast.Attribute: _writes_attribute,
    ast.Call: _writes_by_call,
}


def check_job_statements(module: Module) -> list[str]:
    """Return where SQL text of `module` writes jobs: the workflow and schema patches may."""
    if module.name == JOB_WRITER or module.is_in(PATCHES):
        return []
    return [
        f"{module.name}:{node.lineno} has a statement that writes jobs"
        for node in module.nodes
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and WRITES_JOBS.search(node.value)
    ]


def check_transactions(module: Module) -> list[str]:
    """Return where `module`, unless it is an edge, begins or ends a transaction."""
    if module.is_in(EDGES):
        return []
    found = [line for line, target in module.imports if matches(target, RUNNER)]
    aliases = _names_of_transaction(module)
    for node in module.nodes:
        match node:
            case ast.Call(func=ast.Attribute(attr=name) as function) if name in ENDINGS:
                if root_name(function) in aliases or not module.is_in(SERVICES):
                    found.append(node.lineno)
            case ast.Call(func=ast.Name(id=name)) if name in aliases:
                found.append(node.lineno)
            case ast.With(items=items):
                found += [node.lineno for item in items if root_name(item.context_expr) in aliases]
    return [f"{module.name}:{line} begins or ends a transaction" for line in found]


def _names_of_transaction(module: Module) -> set[str]:
    names = set()
    for node in module.nodes:
        match node:
            case ast.Import(names=aliases):
                names |= {
                    alias.asname or alias.name for alias in aliases if alias.name == "transaction"
                }
            case ast.ImportFrom(module="transaction", names=aliases):
                names |= {
                    alias.asname or alias.name
                    for alias in aliases
                    if alias.name in ENDINGS | {"manager"}
                }
    return names
