"""The plugin that .ci/run loads: skipped means failed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

CASES = {
    "a skip mark": "import pytest\n@pytest.mark.skip(reason='no peer')\ndef test_a(): pass\n",
    "a skip inside": "import pytest\ndef test_a(): pytest.skip('no peer')\n",
    "a skipped file": "import pytest\npytest.skip('no peer', allow_module_level=True)\n",
    "an expected failure": "import pytest\n@pytest.mark.xfail(reason='no peer')\ndef test_a(): assert False\n",
}


def _pytest(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_case.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "tests.house.no_silent_skips", "-p", "no:cacheprovider", "-q"]
    command += ["--rootdir", str(folder), "--config-file", "/dev/null", str(folder / "test_case.py")]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("case", CASES)
def test_what_is_left_out_fails(case: str, tmp_path: Path) -> None:
    done = _pytest(tmp_path, CASES[case])
    assert done.returncode not in {0, 5}, done.stdout
    assert "no peer" in done.stdout


def test_what_runs_passes(tmp_path: Path) -> None:
    assert _pytest(tmp_path, "def test_a(): pass\n").returncode == 0
