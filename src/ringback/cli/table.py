"""Rows with several cells: a table, or in a terminal that is too narrow for one a block for each row."""

from __future__ import annotations

from collections.abc import Sequence


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, least: int) -> None:
    """Prints them; no cell is ever cut. The first one names its row. `least`: columns from which on it is a table."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if console.width >= least:
        table = Table()
        for place, header in enumerate(headers):
            table.add_column(header, no_wrap=not place, overflow="fold")
        for row in rows:
            table.add_row(*map(Text, row))  # Text: what strangers wrote is not taken for markup
        console.print(table)
        return
    for row in rows:
        console.print(Text(row[0], overflow="fold"))
        block = Table.grid(padding=(0, 2))
        block.add_column(no_wrap=True)
        block.add_column(overflow="fold")
        for header, cell in zip(headers[1:], row[1:], strict=True):
            block.add_row(f"  {header}", Text(cell))
        console.print(block)
