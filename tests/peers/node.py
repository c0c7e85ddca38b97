"""Programs of Node.js that tests start: each reads one JSON document and prints one."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
PATIENCE = 60


async def node(program: str, document: dict[str, Any]) -> Any:
    """Runs a program of this folder to its end and gives what it printed."""
    process = await asyncio.create_subprocess_exec(
        "node",
        str(FOLDER / program),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        printed, complaint = await asyncio.wait_for(process.communicate(json.dumps(document).encode()), PATIENCE)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, f"are tests/peers/node_modules there? See: ./run test\n{complaint.decode()}"
    return json.loads(printed)
