"""Every shell command in the documentation is executed; every link inside it leads somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from docs import generate
from tests.calls.ports import free_port
from tests.house.console import Command, Session, commands, missing_line
from tests.house.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
PLAYED = [page for page in PAGES if any(command.kind != "elsewhere" for command in commands(page))]

# What may stand in an `elsewhere` block: it needs root, another machine, or an hour.
ELSEWHERE = {"git", "./run", ".ci/run", "systemctl", "apt-get", "install", "useradd", "podman", "nginx", "su"}


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What a reader's terminal has: our commands on PATH, an own HOME, no settings of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RINGBACK_", "PYTEST_"))}
    (tmp_path / "home").mkdir()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return kept | {"PATH": path, "HOME": str(tmp_path / "home"), "COLUMNS": "120", "NO_COLOR": "1"}


@pytest.fixture
def ports() -> tuple[int, int]:
    """Two free ports, of those that no connection of another test is given in the meantime."""
    public = internal = free_port()
    while internal == public:
        internal = free_port()
    return public, internal


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """A database on a real PostgreSQL, for the pages that use one."""
    if "postgresql://" not in request.getfixturevalue("page").read_text():
        yield None
        return
    from tests.peers.postgres import PostgresCluster  # noqa: PLC0415 - one page needs it

    cluster = PostgresCluster()
    cluster.start()
    try:
        yield cluster.url()
    finally:
        cluster.remove()


@pytest.mark.parametrize("page", PLAYED, ids=_name)
def test_every_command_does_what_the_page_says(
    page: Path, tmp_path: Path, environment: dict[str, str], ports: tuple[int, int], database: str | None
) -> None:
    folder = tmp_path / "reader"
    folder.mkdir()
    with Session(folder, environment, ports) as session:
        for command in commands(page):
            if command.kind == "elsewhere":
                continue
            if database:
                command.text = re.sub(r"postgresql://[^'\"\s]+", database, command.text)
            session.play(command)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_commands_for_elsewhere_are_few_and_well_formed(page: Path) -> None:
    for command in commands(page):
        if command.kind == "elsewhere":
            assert command.text.split()[0] in ELSEWHERE, f"{command}: can this not be executed?"
            checked = subprocess.run(["bash", "-n", "-c", command.text], capture_output=True, text=True, check=False)
            assert checked.returncode == 0, f"{command}: {checked.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"", page.read_text())
    for target in (first or second for first, second in targets):
        if "://" in target or target.startswith("#"):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path
        assert file.exists(), f"{_name(page)}: nothing is at {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, f"{_name(page)}: {path} has no heading for #{anchor}"


@pytest.mark.parametrize("name", generate.PAGES)
def test_generated_pages_are_current(name: str) -> None:
    written = (ROOT / "docs" / "reference" / name).read_text()
    # In a process of its own: click remembers with a command how another test has called it.
    made = f"from docs import generate; print(generate.PAGES[{name!r}](), end='')"
    done = subprocess.run([sys.executable, "-c", made], cwd=ROOT, capture_output=True, text=True, check=True)
    assert written == done.stdout, "run: ./run docs"


def test_the_mechanism_reads_blocks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("text\n```console serve\n$ a \\\n    b\nready …\n\n$ c\n```\n```json\n$ no\n```\n")
    assert commands(page) == [
        Command("page.md", 3, "serve", "a \\\n    b", ["ready …"]),
        Command("page.md", 7, "serve", "c", []),
    ]


def test_the_mechanism_sees_what_is_missing() -> None:
    assert missing_line("one\ntwo 17 ms\nthree", ["one", "two … ms"]) is None
    assert missing_line("one\ntwo", ["two", "one"]) == "one"


def test_a_failing_command_fails_the_page(tmp_path: Path, environment: dict[str, str], ports: tuple[int, int]) -> None:
    with Session(tmp_path, environment, ports) as session:
        session.play(Command("page.md", 1, "", "x=7; cd /", []))
        session.play(Command("page.md", 2, "", 'echo "$x $PWD"', ["7 /"]))
        with pytest.raises(AssertionError, match="ended with 3"):
            session.play(Command("page.md", 3, "", "(exit 3)", []))
        with pytest.raises(AssertionError, match="is missing: never"):
            session.play(Command("page.md", 4, "", "echo something", ["never"]))
