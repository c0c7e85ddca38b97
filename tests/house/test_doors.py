"""Rooms see each other only through doors: `from ringback.devices import X`, never `from ringback.devices.queries`."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import pytest

from tests.house.source import PACKAGE, imports, modules

if TYPE_CHECKING:
    from pathlib import Path

# Who may look behind which door, and why. Patterns of dotted names: (importer, module).
EXCEPTIONS = {
    ("ringback.server", "ringback.*.api*"): "server.py hands each room's routes to the listeners",
    ("ringback.server_directory", "ringback.directory.api*"): "so do the parts of server.py",
    ("ringback.server", "ringback.http.*"): "server.py builds the two applications; rooms need only the handlers' door",
    **{
        (who, f"ringback.store.{what}"): "whoever runs an installation locks, migrates and copies it; no room may"
        for who in ("ringback.installation", "ringback.commands.installation", "ringback.cli.db")
        for what in ("lockfile", "migrate", "backup")
    },
}


def _is_excepted(importer: str, module: str) -> bool:
    return any(fnmatchcase(importer, who) and fnmatchcase(module, what) for who, what in EXCEPTIONS)


def broken_doors(root: Path) -> list[str]:
    """Each import that goes past a door, as `importer:line imports name`."""
    known = modules(root)
    rooms = {module_name for module_name in known if module_name.count(".") == 1}
    # protocols/ is a shelf of specifications, not a room: each is used by its own name, ringback.protocols.powerauth.
    shelves = {"ringback.protocols"}
    broken = []
    for path in sorted(root.rglob("*.py")):
        for found in imports(path, root):
            room = ".".join(found.name.split(".")[:2])
            own = ".".join(found.importer.split(".")[:2]) == room
            module = found.name if found.name in known else found.name.rpartition(".")[0]
            if own or room not in rooms or room in shelves or module == room:
                continue
            if module in known and not _is_excepted(found.importer, module):
                broken.append(f"{found.importer}:{found.line} imports {found.name}")
    return broken


def test_rooms_see_each_other_only_through_doors() -> None:
    assert broken_doors(PACKAGE) == []


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ("from ringback.devices import DevicesService", False),
        ("from ringback.devices.queries import registration_by_id", True),
        ("from ringback.devices import queries", True),
        ("import ringback.devices.queries", True),
        ("from ..devices.queries import registration_by_id", True),
        ("from ringback.operations.model import TRANSITIONS", False),
        ("from .model import TRANSITIONS", False),
    ],
)
def test_the_check_sees_what_goes_past_a_door(tmp_path: Path, line: str, *, refused: bool) -> None:
    root = tmp_path / "ringback"
    for name in ["devices/__init__", "devices/queries", "operations/__init__", "operations/model"]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / f"{name}.py").write_text("")
    (root / "__init__.py").write_text("")
    (root / "operations/service.py").write_text(line + "\n")
    assert bool(broken_doors(root)) is refused


def test_no_utils() -> None:
    """A file is named after its idea."""
    vague = {"utils.py", "util.py", "helpers.py", "misc.py", "common.py"}
    assert [path for path in PACKAGE.rglob("*.py") if path.name in vague] == []
