"""The whole of both OpenAPI documents against a real server: no 5xx, and no answer that the document does not know."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.documents import INTERNAL_DOCUMENT, PUBLIC_DOCUMENT
from tests.peers.server import Furnished, ServerProcess, basic

CONFIG = Path(__file__).parent / "schemathesis.toml"
NOT_HELD = "positive_data_acceptance"
"""An unknown id is a 400 in PowerAuth Cloud however well-formed it is; so are most requests of a phone without keys."""
EXAMPLES, FEW_EXAMPLES = 15, 2
"""For each operation. Few where the guard answers before anything is read."""
SECONDS = 600
pytestmark = pytest.mark.timeout(SECONDS + 60)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, Furnished]]:
    """Shared by the runs: what one leaves behind is more for the next one to trip over."""
    folder = tmp_path_factory.mktemp("fuzz") / "data"
    process = ServerProcess(folder)
    process.start()
    yield process, process.furnish()
    assert process.stop() == 0
    assert "Traceback" not in process.log()


@pytest.mark.parametrize("who", ["nobody", "integration", "admin"])
def test_internal_listener(server: tuple[ServerProcess, Furnished], tmp_path: Path, who: str) -> None:
    process, furnished = server
    authorization = {"nobody": "", "integration": furnished.integration, "admin": furnished.admin}[who]
    examples = EXAMPLES if authorization else FEW_EXAMPLES
    fuzz(process.internal + INTERNAL_DOCUMENT, process.internal, authorization, tmp_path, examples)
    process.wait_until_ready(30)


def test_what_a_sip_proxy_may_ask(server: tuple[ServerProcess, Furnished], tmp_path: Path) -> None:
    process, _ = server
    made = json.loads(process.cli("admin", "create-user", "proxy", "--role", "sip-proxy", "--json").stdout)
    authorization = basic(made["username"], made["password"])
    only = ("--include-path-regex", "^/api/v1/(wakeups|sip)")
    fuzz(process.internal + INTERNAL_DOCUMENT, process.internal, authorization, tmp_path, EXAMPLES, *only)
    process.wait_until_ready(30)


@pytest.mark.parametrize("who", ["nobody", "user"])
def test_public_listener(server: tuple[ServerProcess, Furnished], tmp_path: Path, who: str) -> None:
    process, _ = server
    authorization = ""
    if who == "user":
        made = json.loads(process.cli("user", "create", "user", "--json").stdout)
        authorization = basic(made["userId"], made["password"])
    fuzz(process.internal + PUBLIC_DOCUMENT, process.public, authorization, tmp_path, EXAMPLES)
    process.wait_until_ready(30)


def fuzz(document: str, base: str, authorization: str, folder: Path, examples: int, *only: str) -> None:
    """Runs schemathesis as its command line does; its report is the message of a failure. `only`: which operations."""
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", document, "--url", base,
        "--checks", "all", "--exclude-checks", NOT_HELD,
        "--phases", "examples,coverage,fuzzing,stateful", "--max-examples", str(examples),
        "--generation-database", "none", "--warnings", "off", "--no-color", "--no-shrink", *only,
    ]  # fmt: skip
    if authorization:
        command += ["--header", f"Authorization: {authorization}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    report = "\n".join(line[:300] for line in (done.stdout + done.stderr).splitlines())
    assert done.returncode == 0, report
    assert " generated" in report, report
