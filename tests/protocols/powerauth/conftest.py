"""Known answers for the PowerAuth tests: public ones from a folder, recorded ones from beside this file."""

from __future__ import annotations

import json
import os
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

REASON = "RINGBACK_VECTORS is not set: nothing to read"


@pytest.fixture(scope="session")
def vector_folder() -> Path:
    """Where the public PowerAuth vectors are; without it a test says that it has nothing to read."""
    folder = os.environ.get("RINGBACK_VECTORS")
    if not folder:
        if os.environ.get("CI") == "true":
            pytest.fail(REASON)
        pytest.skip(REASON)
    return Path(folder) / "powerauth"


@pytest.fixture(scope="session")
def public_vectors(vector_folder: Path) -> Any:
    """Reads one file of public vectors: pairs of input and output, still in their own spelling."""

    def read(name: str) -> list[tuple[dict[str, str], dict[str, str]]]:
        data = json.loads((vector_folder / name).read_text("utf-8"))["data"]
        assert data
        return [(case["input"], case["output"]) for case in data]

    return read


@pytest.fixture(scope="session")
def recorded() -> Any:
    """The project's own known answers, computed apart from the code (own curve arithmetic, OpenSSL's AES and ECDSA)."""
    return json.loads((Path(__file__).parent / "recorded.json").read_text("utf-8"))


@pytest.fixture(scope="session")
def recorded_bytes(recorded: Any) -> Any:
    """The recorded keys as bytes, by name."""

    def read(name: str) -> bytes:
        return b64decode(recorded["keys"][name])

    return read
