"""`run` on machines that lack something: one line that says what to do. And the lock files that it installs from."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.house.source import ROOT

LOCKS = ["requirements.lock", "requirements-dev.lock"]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder of programs that stands for a bare machine."""
    for name in ("bash", "sh", "env", "id", "cat", "sed", "dirname", "mkdir", "flock", "sha256sum"):
        found = shutil.which(name)
        assert found is not None
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).symlink_to(found)
    shutil.copy(ROOT / "run", tmp_path / "run")
    for name in ("pyproject.toml", *LOCKS):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def _run(machine: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [machine / "bin" / "bash", machine / "run", *arguments]
    environment = {"PATH": str(machine / "bin")}  # no HOME either
    return subprocess.run(
        command,
        cwd="/",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


def _program(machine: Path, name: str, script: str) -> None:
    (machine / "bin" / name).write_text(f"#!{machine}/bin/sh\n{script}\n")
    (machine / "bin" / name).chmod(0o755)


@pytest.mark.parametrize("arguments", [(), ("nonsense",)])
def test_an_unknown_command_is_answered_by_the_usage(machine: Path, arguments: tuple[str, ...]) -> None:
    done = _run(machine, *arguments)
    assert done.returncode == 2
    assert "./run demo|test|lint|bench|docs|lock" in done.stderr


def test_without_python_it_says_what_to_install(machine: Path) -> None:
    done = _run(machine, "demo")
    assert (done.returncode, done.stdout) == (1, "")
    assert "apt-get install python3 python3-pip" in done.stderr


def test_an_old_python_is_named(machine: Path) -> None:
    _program(machine, "python3", '[ "$1" = -V ] && echo Python 3.9.2 && exit 0; exit 1')
    done = _run(machine, "demo")
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed, python3 is Python 3.9.2" in done.stderr


def test_a_missing_pip_is_named(machine: Path) -> None:
    _program(machine, "python3", '[ "$1" = -c ]')
    done = _run(machine, "demo")
    assert done.returncode == 1
    assert "apt-get install python3-pip" in done.stderr


def test_missing_peers_without_apt_are_named(machine: Path) -> None:
    done = _run(machine, "test")
    assert done.returncode == 1
    assert "there is no apt-get here" in done.stderr


def test_missing_peers_without_the_right_to_install_give_the_one_command(machine: Path) -> None:
    _program(machine, "apt-get", "exit 0")
    (machine / "bin" / "id").unlink()
    _program(machine, "id", "echo 1000")
    _program(machine, "sudo", "exit 1")
    done = _run(machine, "test")
    assert done.returncode == 1
    assert "as root, then try again:  apt-get update && apt-get install -y" in done.stderr


@pytest.mark.parametrize("name", LOCKS)
def test_locks_hold_hashes_and_no_address(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    for entry in re.split(r"\n(?=\S)", text.strip()):
        assert "--hash=sha256:" in entry, entry


def test_locks_cover_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = project["project"]["dependencies"] + project["dependency-groups"]["build"]
    for name, wanted in zip(LOCKS, (needed, needed + project["dependency-groups"]["dev"]), strict=True):
        locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / name).read_text(), re.MULTILINE))
        names = {re.split(r"[^A-Za-z0-9_.-]", item)[0].lower().replace("_", "-") for item in wanted}
        assert names <= locked, "run: ./run lock"


def test_both_locks_agree() -> None:
    runtime, development = (
        dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE)) for name in LOCKS
    )
    assert {name: development.get(name) for name in runtime} == runtime


def test_the_npm_lock_holds_hashes_and_no_registry() -> None:
    locked = json.loads((ROOT / "tests/peers/package-lock.json").read_text())
    wanted = json.loads((ROOT / "tests/peers/package.json").read_text())
    packages = {name: entry for name, entry in locked["packages"].items() if name}
    assert locked["packages"][""]["dependencies"] == wanted["dependencies"]
    for name, entry in packages.items():
        assert entry["integrity"].startswith("sha512-"), name
        assert "resolved" not in entry, "npm config set omit-lockfile-registry-resolved true, then: npm install"
