"""What a process leaves room for."""

from __future__ import annotations

import resource

import pytest

from ringback.serving import connections_that_fit


@pytest.mark.parametrize(
    ("wanted", "files", "fits"),
    [
        (10_000, 65_536, 10_000),
        (10_000, resource.RLIM_INFINITY, 10_000),
        (10_000, 4_096, 1_536),
        (10_000, 1_024, 341),
        (10, 1_024, 10),
        (10_000, 3, 1),
    ],
)
def test_connections_leave_open_files_for_everything_else(wanted: int, files: int, fits: int) -> None:
    assert connections_that_fit(wanted, files) == fits
