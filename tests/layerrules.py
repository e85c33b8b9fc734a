"""What may import what: rules that are read from the sources alone.

`tests/test_layers.py` applies them to the whole library. They have no exceptions: a module that
needs one is in the wrong room.
"""

__all__ = [
    "Module",
    "called_name",
    "check_imports",
    "check_model_references",
    "matches",
    "read_library",
]

import ast
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[1] / "lib"

# What computes only: no files, no network, no processes, no clock that a caller did not pass.
PURE = (
    "__future__", "abc", "base64", "bisect", "collections", "contextlib", "copy", "dataclasses",
    "datetime", "decimal", "enum", "fractions", "functools", "hashlib", "heapq", "hmac",
    "ipaddress", "itertools", "json", "math", "numbers", "operator", "os.EX_*",
    "pathlib.Pure*", "posixpath", "re", "socket.inet_*", "statistics", "string", "struct",
    "textwrap", "types", "typing", "unicodedata", "urllib.parse", "uuid.UUID", "lazr.enum",
    "lazr.uri", "zope.interface", "zope.schema",
)  # fmt: skip

# The modules that the table's rows are about. A `*` stands for any name, dots included.
WORDS = tuple(
    f"lp.{package}.{name}"
    for package in ("code", "registry")
    for name in ("enums", "errors", "policy")
)
INTERFACES = ("lp.*.interfaces",)
SERVER_INTERFACES = ("lp.code.interfaces", "lp.registry.interfaces", "lp.xmlrpc.interfaces")
MODELS = ("lp.code.model", "lp.registry.model")
VIEWS = ("lp.code.xmlrpc", "lp.code.browser", "lp.code.notifications", "lp.xmlrpc")
CODEHOSTING = ("lp.codehosting",)
FLEET = ("lp.codehosting.codeimport",)
SERVICES = ("lp.services",)
SCRIPTS = ("lp.scripts",)
TESTING = ("lp.testing",)

# Packages that only hold rooms.
CORRIDORS = ("lp", "lp.code", "lp.registry")

DATABASE = ("lp.services.database", "psycopg2", "storm")
WEB = ("granian", "pyramid*", "waitress", "webob", "webtest", "xmlrpc")
TERMINAL = ("click", "rich")


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Say whether `name` is one of, or is inside of, what `patterns` describe."""
    return any(
        fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*") for pattern in patterns
    )


@dataclass(frozen=True)
class Layer:
    """A row of the table: the modules it is about, and what they may import.

    `ours` are modules of lp, `libraries` everything else; `never` wins over both.
    """

    modules: Sequence[str]
    ours: Sequence[str]
    never: Sequence[str] = ()
    libraries: Sequence[str] = ("*",)

    def allows(self, target: str) -> bool:
        """Say whether a module of this layer may import `target`."""
        allowed = self.ours if matches(target, ["lp"]) else self.libraries
        return matches(target, allowed) and not matches(target, self.never)


# A module obeys every row that it matches.
LAYERS = (
    # Where the library lies, services may know.
    Layer(SERVICES, ours=(*SERVICES, "lp.__path__")),
    Layer(WORDS, ours=WORDS, libraries=PURE),
    Layer(INTERFACES, ours=(*WORDS, *INTERFACES), libraries=(*PURE, "*.interfaces")),
    Layer(
        MODELS,
        ours=(*WORDS, *INTERFACES, *SERVICES, *MODELS),
        never=("lp.services.webapp", *WEB, *TERMINAL),
    ),
    Layer(
        VIEWS,
        ours=(*WORDS, *INTERFACES, *SERVICES, *VIEWS),
        never=(*MODELS, *DATABASE, "transaction"),
    ),
    Layer(
        CODEHOSTING,
        ours=(*WORDS, *INTERFACES, *SERVICES, *CODEHOSTING),
        never=(*DATABASE, "transaction"),
    ),
    Layer(
        FLEET,
        ours=(*WORDS, *SERVICES, *FLEET, "lp.codehosting.paths"),
        never=SERVER_INTERFACES,
    ),
    Layer(SCRIPTS, ours=("lp",), never=TESTING),
    Layer(TESTING, ours=("lp",)),
)


@dataclass(frozen=True)
class Module:
    """A module's name and syntax tree."""

    name: str
    tree: ast.Module = field(repr=False)
    is_package: bool = False

    @classmethod
    def parse(cls, name: str, source: str, *, is_package: bool = False) -> "Module":
        """Make a module from its source text."""
        return cls(name, ast.parse(source), is_package)

    def is_in(self, patterns: Sequence[str]) -> bool:
        """Say whether the module is one of those that `patterns` describe."""
        return matches(self.name, patterns)

    @functools.cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of the tree."""
        return list(ast.walk(self.tree))

    @functools.cached_property
    def imports(self) -> list[tuple[int, str]]:
        """What is imported anywhere in the module: lines and full dotted names."""
        return [(node.lineno, target) for node in self.nodes for target in self._targets(node)]

    def _targets(self, node: ast.AST) -> Iterator[str]:
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield from self._used_names(alias)
            case ast.ImportFrom(module=module, names=names, level=level):
                origin = ".".join(filter(None, [self._package(level), module]))
                yield from (f"{origin}.{alias.name}" for alias in names)
            case ast.Call(args=[ast.Constant(value=str(target)), *_]):
                if called_name(node) in ("import_module", "__import__"):
                    yield target

    def _used_names(self, alias: ast.alias) -> Iterator[str]:
        # `import os` is judged by what is taken from it.
        local = alias.asname or alias.name
        used = {
            f"{alias.name}.{node.attr}"
            for node in self.nodes
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == local
        }
        yield from sorted(used) or [alias.name]

    def _package(self, level: int) -> str:
        if level == 0:
            return ""
        parts = self.name.split(".")
        return ".".join(parts[: len(parts) - level + self.is_package])


@functools.cache
def read_library(folder: Path = LIBRARY) -> list[Module]:
    """Parse every module of the library."""
    modules = []
    for path in sorted(folder.glob("lp/**/*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        source = path.read_text(encoding="utf-8")
        modules.append(Module.parse(name, source, is_package=is_package))
    return modules


def called_name(node: ast.Call) -> str:
    """Return the last name of what is called, or ''."""
    function = node.func
    return getattr(function, "attr", None) or getattr(function, "id", "")


def check_imports(module: Module) -> list[str]:
    """Return how `module` breaks the table of layers."""
    layers = [layer for layer in LAYERS if module.is_in(layer.modules)]
    if module.name in CORRIDORS:
        layers.append(Layer([module.name], ours=()))
    if not layers:
        return [f"{module.name} is in no layer"]
    return [
        f"{module.name}:{line} imports {target}"
        for line, target in module.imports
        if not all(layer.allows(target) for layer in layers)
    ]


def check_model_references(modules: Sequence[Module]) -> list[str]:
    """Return where a model imports another: it asks for the utility, or refers by a string.

    Modules of functions alone may be shared; a package's own modules are one model.
    """
    models = [module for module in modules if module.is_in(MODELS)]
    components = {module.name for module in models if _has_component(module)}
    return [
        f"{module.name}:{line} imports the model {component}"
        for module in models
        for line, target in module.imports
        for component in components
        if matches(target, [component]) and _room(component) != _room(module.name)
    ]


def _room(name: str) -> str:
    # lp.code.model.codeimport, for the module and for whatever is inside of it.
    return ".".join(name.split(".")[:4])


def _has_component(module: Module) -> bool:
    return any(
        isinstance(node, ast.ClassDef)
        and any(
            ast.unparse(decorator).startswith("implementer(") for decorator in node.decorator_list
        )
        for node in module.nodes
    )
