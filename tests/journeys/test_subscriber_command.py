"""`ringback domain` and `ringback subscriber`, while the server runs and while it does not."""

from __future__ import annotations

import csv
import hashlib
import json
import urllib.error
from pathlib import Path
from typing import Any

import pytest

from ringback.cli.subscriber_import import run_import
from ringback.errors import StartRefused
from tests.peers.server import ServerProcess, basic

LOOK_UP = "/api/v1/sip/credentials/example.org"


def proxy_of(server: ServerProcess) -> str:
    made = json.loads(server.cli("admin", "create-user", "kamailio", "--role", "sip-proxy", "--json").stdout)
    return basic(made["username"], made["password"])


def known(server: ServerProcess, proxy: str, username: str) -> dict[str, Any] | None:
    """What proves a subscriber, or None."""
    try:
        found: dict[str, Any] = server.call("GET", f"{LOOK_UP}/{username}", authorization=proxy)
    except urllib.error.HTTPError as error:
        return None if error.code == 404 else pytest.fail(str(error))
    return found


def md5(username: str, password: str) -> str:
    return hashlib.md5(f"{username}:example.org:{password}".encode(), usedforsecurity=False).hexdigest()


def test_subscribers_are_made_kept_out_and_forgotten(server: ServerProcess) -> None:
    made = server.cli("domain", "create", "Example.org")
    assert made.stdout == "domain  example.org\napps    every app of the user\n"
    early = server.cli("subscriber", "create", "early@example.org", "--user", "u1")
    words = dict(line.split(maxsplit=1) for line in early.stdout.splitlines())
    assert words["subscriber"] == "early@example.org"
    assert early.stderr == "Keep the password now: it is not shown again.\n"
    server.start()
    proxy = proxy_of(server)
    late = json.loads(
        server.cli(
            "subscriber", "create", "sip:late@example.org", "--user", "u2", "--display-name", "L", "--json"
        ).stdout
    )
    for username, password in (("early", words["password"]), ("late", late["password"])):
        found = known(server, proxy, username)
        assert found is not None
        assert found["md5"] == md5(username, password)
    listed = server.cli("subscriber", "list", "example.org").stdout
    assert listed == "early@example.org  u1  -  enabled\nlate@example.org  u2  L  enabled\n"

    shown = server.cli("subscriber", "set", "late@example.org", "--disable", "--mobile-push-enable", "always").stdout
    assert "state               disabled" in shown
    assert "mobile_push_enable  always  (subscriber)" in shown
    assert known(server, proxy, "late") is None
    server.cli("domain", "set", "example.org", "--mobile-push-expiry", "20", "--mobile-push-enable", "no_reg")
    shown = server.cli("subscriber", "set", "late@example.org", "--enable", "--inherit", "mobile_push_enable").stdout
    assert "mobile_push_enable  no_reg  (domain)\nmobile_push_expiry  20  (domain)\n" in shown
    told = json.loads(server.cli("domain", "show", "example.org", "--json").stdout)
    assert told["preferences"]["decided_by"]["prompt"] == "built in"

    for old, now in (("true", "always"), ("0", "never"), ("1", "always"), ("false", "never")):
        shown = server.cli("domain", "set", "example.org", "--mobile-push-enable", old).stdout
        assert f"mobile_push_enable  {now}  (domain)" in shown
    assert server.cli("domain", "set", "example.org", "--mobile-push-enable", "2", check=False).returncode == 2

    renewed = json.loads(server.cli("subscriber", "set-password", "late@example.org", "--json").stdout)
    found = known(server, proxy, "late")
    assert found is not None
    assert found["md5"] == md5("late", renewed["password"])
    refused = server.cli("domain", "delete", "example.org", check=False)
    assert (refused.returncode, "still has subscribers" in refused.stderr) == (1, True)
    for username in ("early", "late"):
        gone = server.cli("subscriber", "delete", f"{username}@example.org")
        assert gone.stdout == f"subscriber  {username}@example.org\ndeleted     yes\n"
    assert server.cli("domain", "delete", "example.org").stdout == "domain   example.org\ndeleted  yes\n"
    assert server.cli("domain", "list").stdout == ""
    assert server.stop() == 0
    for secret in (words["password"], late["password"], renewed["password"]):
        assert secret not in server.log()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("subscriber", "create", "nobody", "--user", "u"), "username@domain"),
        (("subscriber", "create", "a b@example.org", "--user", "u"), "username@domain"),
        (("subscriber", "create", "jan@example.org", "--user", "u"), "no such domain"),
        (("subscriber", "show", "jan@example.org"), "no such subscriber"),
        (("subscriber", "set-password", "jan@example.org"), "no such subscriber"),
        (("subscriber", "list", "example.org"), "no such domain"),
        (("domain", "create", "a_b"), "domain"),
        (("domain", "create", "example.org", "--app", "none"), "no application none"),
        (("domain", "show", "example.org"), "no such domain"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    sqlite_server: ServerProcess, arguments: tuple[str, ...], reason: str
) -> None:
    done = sqlite_server.cli(*arguments, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert reason in done.stderr
    assert len(done.stderr.splitlines()) == 1


# many at once ---------------------------------------------------------------------------------------------------------


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def line(number: int, **more: Any) -> dict[str, Any]:
    return {
        "address": f"u{number:04}@example.org",
        "userId": f"person {number}",
        "password": f"password {number}",
        **more,
    }


def count(server: ServerProcess) -> int:
    return len(server.cli("subscriber", "list", "example.org").stdout.splitlines())


@pytest.mark.parametrize("running", [True, False])
def test_thousands_come_from_a_file(server: ServerProcess, tmp_path: Path, running: bool) -> None:
    server.cli("domain", "create", "example.org")
    file = write(tmp_path / "many.csv", [line(number) for number in range(1000)])
    if running:
        server.start()
    assert server.cli("subscriber", "import", file).stdout == "added    1000\nskipped  0\n"
    assert count(server) == 1000
    again = server.cli("subscriber", "import", file, check=False)
    assert again.returncode == 1
    assert again.stderr.splitlines()[0] == "line 2: This subscriber is there already."
    more = write(tmp_path / "more.csv", [line(number) for number in range(990, 1010)])
    done = server.cli("subscriber", "import", more, "--skip-existing", "--json").stdout
    assert json.loads(done) == {"added": 10, "skipped": 10}
    if not running:
        server.start()
    found = known(server, proxy_of(server), "u0999")
    assert found is not None
    assert found["md5"] == md5("u0999", "password 999")
    assert server.stop() == 0


def test_every_column_is_understood(sqlite_server: ServerProcess, tmp_path: Path) -> None:
    server = sqlite_server
    server.cli("domain", "create", "example.org")
    rows = [
        {"address": "a@EXAMPLE.org", "userId": "ä", "displayName": 'Says "hi", and more',
         "md5": md5("a", "old").upper(), "sha256": "", "realm": "",
         "disabled": "no", "mobile_push_enable": "yes", "mobile_push_expiry": "30"},
        {"address": "b@example.org", "userId": "b", "disabled": "true", "mobile_push_enable": "no_reg"},
    ]  # fmt: skip
    server.cli("subscriber", "import", write(tmp_path / "all.csv", rows))
    shown = json.loads(server.cli("subscriber", "show", "a@example.org", "--json").stdout)
    assert (shown["userId"], shown["displayName"], shown["disabled"]) == ("ä", 'Says "hi", and more', False)
    held = shown["preferences"]
    assert (held["mobile_push_enable"], held["mobile_push_expiry"]) == ("always", 30)
    other = json.loads(server.cli("subscriber", "show", "b@example.org", "--json").stdout)
    assert (other["disabled"], other["realms"], other["preferences"]["mobile_push_enable"]) == (True, [], "no_reg")
    server.start()
    found = known(server, proxy_of(server), "a")
    assert found is not None
    assert (found["md5"], found.get("sha256")) == (md5("a", "old"), None)
    assert server.stop() == 0


def test_bad_lines_are_named_and_nothing_is_added(sqlite_server: ServerProcess, tmp_path: Path) -> None:
    server = sqlite_server
    server.cli("domain", "create", "example.org")
    rows = [line(number) for number in range(120)]
    rows[3]["address"] = "no address"
    rows[50]["address"] = "u0002@example.ORG"
    rows[60]["address"] = "jan@elsewhere.org"
    rows[70]["password"] = "short"
    rows[80] |= {"md5": "0" * 32}
    rows[119]["userId"] = ""
    for row in rows:
        row.setdefault("md5", "")
    file = write(tmp_path / "bad.csv", rows)
    done = server.cli("subscriber", "import", file, check=False)
    assert done.returncode == 1
    assert [said.partition(":")[0] for said in done.stderr.splitlines()] == [
        "line 5", "line 52", "line 62", "line 72", "line 82", "line 121", "ringback",
    ]  # fmt: skip
    assert "u0002@example.org stands in line 4 already" in done.stderr
    assert "short" not in done.stderr
    assert done.stderr.splitlines()[-1] == "ringback: 6 lines cannot be taken. Nothing was added."
    told = json.loads(server.cli("subscriber", "import", file, "--json", check=False).stdout)
    assert [one["line"] for one in told["wrong"]] == [5, 52, 62, 72, 82, 121]
    assert count(server) == 0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "first line names the columns"),
        (b"userId\nx\n", "first line names the columns"),
        (b"address,userId,shoeSize\na@b,c,44\n", "first line names the columns"),
        (b"address,userId\n", "has no subscribers"),
        (b"address,userId\na@b,c,d\n", "Line 2 has more cells"),
        (b"address,userId\n\xff\xfe,c\n", "no CSV file in UTF-8"),
    ],
)
def test_what_is_no_file_of_subscribers(tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "file.csv"
    file.write_bytes(content)
    with pytest.raises(StartRefused, match=reason):
        run_import(file, skip_existing=False, as_json=False)


def test_a_domain_that_is_none_is_refused_in_words(server: ServerProcess) -> None:
    for name in ("example org", "-example.org", "sip:example.org"):
        refused = server.cli("domain", "create", "--", name, check=False)
        assert refused.returncode == 1
        assert refused.stderr == (
            "ringback: A domain is a host name: letters, digits and hyphens, with dots between them.\n"
        )
