"""Reads the project's own source: which module imports what."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "ringback"


@dataclass(frozen=True)
class Import:
    """One import of a module of ours: who imports, in which line, and the dotted name it asks for."""

    importer: str
    line: int
    name: str


def module_name(path: Path, root: Path = PACKAGE) -> str:
    """`src/ringback/store/query.py` is `ringback.store.query`."""
    parts = path.relative_to(root.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, root: Path = PACKAGE) -> list[Import]:
    """Every import in a file, those inside functions and behind TYPE_CHECKING too; relative ones made absolute."""
    importer = module_name(path, root)
    package = importer if path.name == "__init__.py" else importer.rpartition(".")[0]
    found = []
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            found += [Import(importer, node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            found += [Import(importer, node.lineno, f"{source}.{alias.name}") for alias in node.names]
    return found


def modules(root: Path = PACKAGE) -> set[str]:
    """The dotted names of all modules and packages."""
    return {module_name(path, root) for path in root.rglob("*.py")}
