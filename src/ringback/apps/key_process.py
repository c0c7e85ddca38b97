"""A program by itself, started by `slow_keys`: opens a .p12 file or a private key, and looks whether its parts fit.

It gets and answers JSON, files in Base64. It imports nothing of Ringback, so that it starts soon.
"""

from __future__ import annotations

import base64
import json
import resource
import sys
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
    pkcs12,
)

CPU_SECONDS = 5
MEMORY_BYTES = 1 << 30


def main() -> None:
    """Reads one question, writes one answer; `error`: `unsupported` or `invalid`."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    asked = json.loads(sys.stdin.read())
    open_file = open_p12 if asked["file"] == "p12" else open_key
    try:
        answer = open_file(base64.b64decode(asked["data"]), asked["password"])
    except UnsupportedAlgorithm:
        answer = {"error": "unsupported"}
    except (ValueError, TypeError):
        answer = {"error": "invalid"}
    sys.stdout.write(json.dumps(answer))


def open_p12(data: bytes, password: str) -> dict[str, object]:
    """Key and certificates in PEM, the key's certificate first; what is missing is null."""
    key, leaf, others = pkcs12.load_key_and_certificates(data, password.encode() or None)
    chain = [] if leaf is None else [leaf, *others]
    return {
        "key": None if key is None else pem_of(key),
        "certificates": [one.public_bytes(Encoding.PEM).decode() for one in chain],
    }


def open_key(data: bytes, password: str | None) -> dict[str, object]:
    """A private key in PEM; its parts belong together."""
    load = load_pem_private_key if b"-----BEGIN" in data else load_der_private_key
    return {"key": pem_of(load(data, None if password is None else password.encode()))}


def pem_of(key: Any) -> str:
    """PKCS#8, PEM, in the clear: it goes back through the pipe that it came by."""
    text: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return text.decode()


if __name__ == "__main__":
    main()
