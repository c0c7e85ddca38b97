"""The page about SIP says what each figure counts."""

from __future__ import annotations

import re
from typing import get_args

from ringback.sip.counters import Reason
from tests.house.source import ROOT


def test_every_reason_is_explained_and_no_other() -> None:
    page = (ROOT / "docs" / "reference" / "sip.md").read_text()
    rows = page.partition("| reason |")[2]
    named = [name for row in re.findall(r"^\| (`[^|]*) \|", rows, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)]
    assert sorted(named) == sorted(get_args(Reason))
