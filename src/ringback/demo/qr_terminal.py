"""A QR code made of half blocks, two modules in a character, so that it is square and as small as a terminal can."""

from __future__ import annotations

import segno

_BLOCKS = {(True, True): " ", (True, False): "▄", (False, True): "▀", (False, False): "█"}
_BLACK_ON_WHITE = "\x1b[97;40m"
_RESET = "\x1b[0m"


def qr_lines(content: str, columns: int, *, colours: bool) -> list[str] | None:
    """The lines of the code, never wider than `columns`; None when no terminal that narrow can show it whole.

    Light modules are drawn, dark ones left out, on a black background when `colours` may be used. The quiet zone is 4
    modules as the standard wants, less (down to 1, which cameras still take) where the terminal is narrow.
    """
    code = segno.make(content, error="l", micro=False, boost_error=False)
    size = len(code.matrix)
    border = min(4, (columns - size) // 2)
    if border < 1:
        return None
    rows = [[bool(module) for module in row] for row in code.matrix_iter(border=border)]
    if len(rows) % 2:
        rows.append([True] * len(rows[0]))  # below the last row nothing is drawn
    lines = []
    for upper, lower in zip(rows[::2], rows[1::2], strict=True):
        line = "".join(_BLOCKS[pair] for pair in zip(upper, lower, strict=True))
        lines.append(f"{_BLACK_ON_WHITE}{line}{_RESET}" if colours else line)
    return lines
