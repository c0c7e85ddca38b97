"""A SQLite file layer whose disk fails when told to."""

from __future__ import annotations

import itertools
from typing import Any

import apsw

_numbers = itertools.count()


class FaultyDisk(apsw.VFS):
    """While `failing` is set, waiting for the disk (`sync`) or writing to it (`write`) fails with an I/O error."""

    def __init__(self) -> None:
        self.name = f"faulty-{next(_numbers)}"
        self.failing: str | None = None
        super().__init__(self.name, "")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        return _File(self, name, flags)


class _File(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        super().__init__("", name, flags)

    def xSync(self, flags: int) -> None:  # noqa: N802
        if self._disk.failing == "sync":
            raise apsw.IOError("the disk failed")
        super().xSync(flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        if self._disk.failing == "write":
            raise apsw.FullError("the disk is full")
        super().xWrite(data, offset)
