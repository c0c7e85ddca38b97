"""What the command line shows in terminals that are narrow, or that know few letters."""

from __future__ import annotations

import pytest

from tests.journeys.conftest import NewServer

URL = "https://phones-of-the-bank.example.com/of/all/customers"


@pytest.mark.parametrize("columns", [20, 40, 79])
def test_settings_are_whole_in_narrow_terminals(
    new_server: NewServer, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = new_server(public_url=URL).cli("config", "show").stdout
    assert max(map(len, shown.splitlines())) <= columns
    words = "".join(shown.split())
    assert f"Value{URL}FromRINGBACK_PUBLIC_URLMeaning" in words
    assert words.endswith("Leastimportantmessagethatislogged.")


def test_settings_are_a_table_in_wider_terminals(new_server: NewServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = new_server(public_url=URL).cli("config", "show").stdout
    [line] = [line for line in shown.splitlines() if " public_url " in line]
    assert line.count("│") == 5


def test_a_terminal_that_does_not_know_a_letter_gets_another_one(
    new_server: NewServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    monkeypatch.setenv("COLUMNS", "300")
    shown = new_server().cli("config", "show").stdout
    assert "postgresql://? for PostgreSQL" in shown
    assert "push_credentials_cache_seconds" in shown
