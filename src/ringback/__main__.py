"""`python -m ringback`."""

from __future__ import annotations

from ringback.cli import main

main()
