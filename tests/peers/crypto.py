"""Other people's cryptography: npm jose, npm web-push and Debian's jose."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from ringback.protocols.base64url import from_base64url, to_base64url

FOLDER = Path(__file__).parent
SECONDS = 60


def node(*tasks: dict[str, Any]) -> list[dict[str, Any]]:
    """Has `crypto.mjs` do the tasks; one answer for each, in order."""
    done = subprocess.run(
        ["node", str(FOLDER / "crypto.mjs")],
        input="".join(json.dumps(task) + "\n" for task in tasks),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert not done.returncode, f"is tests/peers/node_modules there? See: ./run test\n{done.stderr}"
    return [json.loads(line) for line in done.stdout.splitlines()]


def debian_jose(command: str, key: bytes, given: bytes, folder: Path) -> subprocess.CompletedProcess[bytes]:
    """Runs `jose jwe dec` or `jose jwe enc`. Its key must name the cipher, or nothing, but never `dir`."""
    file = folder / "key.jwk"
    file.write_text(json.dumps({"kty": "oct", "k": text(key)}))
    options = {
        "dec": ["-i-", "-k", str(file)],
        "enc": ["-c", "-I-", "-k", str(file), "-i", '{"protected":{"alg":"dir","enc":"A256GCM"}}'],
    }
    return subprocess.run(
        ["jose", "jwe", command, *options[command]], input=given, capture_output=True, timeout=SECONDS, check=False
    )


def text(data: bytes) -> str:
    """Base64url, as both sides write bytes into JSON."""
    return to_base64url(data).decode()


def data(found: str) -> bytes:
    """The bytes of such a text."""
    return from_base64url(found.encode())
