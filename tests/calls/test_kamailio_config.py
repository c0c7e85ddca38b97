"""`ringback kamailio config`: what it writes is a configuration that Kamailio takes, for every set of settings."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ringback.calls import (
    KamailioCredential,
    KamailioPlan,
    KamailioTls,
    kamailio_secret_lines,
    render_kamailio,
    render_kamailio_servers,
)
from ringback.cli import main
from ringback.errors import StartRefused
from ringback.testing.certificates import Authority
from tests.calls.kamailio import PACKAGES
from tests.calls.programs import find_program

CREDENTIAL = KamailioCredential("http://127.0.0.1:8081", "kamailio", "s-E_c.r~et")
BASE: dict[str, Any] = {
    "listen": ("127.0.0.1:5160",),
    "domains": ("example.com",),
    "application_servers": ("127.0.0.1:5070",),
    "credential": CREDENTIAL,
}
SETS: dict[str, dict[str, Any]] = {
    "as small as can be": {},
    "a laboratory": {"credential": None},
    "two domains and two addresses": {
        "domains": ("example.com", "example.org"),
        "listen": ("127.0.0.1:5160", "127.0.0.2:5160"),
    },
    "IPv6": {"listen": ("[::1]:5160",), "application_servers": ("[::1]:5070",), "trusted": ("::1", "2001:db8::/32")},
    "several application servers": {
        "application_servers": ("127.0.0.1:5070", "127.0.0.1:5071;transport=tcp", "as.example.com:5072;transport=udp"),
        "probe_seconds": 10,
    },
    "a digest for application servers": {"subscriber": "ringback", "subscriber_password": 'any "$thing" \\ at all'},
    "SHA-256": {"digest": "SHA-256", "subscriber": "ringback", "subscriber_password": "secret", "realm": "voice"},
    "gateways and every call": {"trusted": ("10.0.0.0/8", "192.0.2.7"), "every_call": True},
    "a public address": {
        "advertise": "203.0.113.7:5060",
        "credential": KamailioCredential("https://in.example:8081", "k", "p", "/ca.pem"),
    },
}  # fmt: skip


def check(folder: Path, plan: KamailioPlan) -> str:
    """What `kamailio -c` says; fails when it refuses or warns."""
    folder.mkdir(exist_ok=True)
    (folder / "kamailio.cfg").write_text(render_kamailio(plan))
    done = subprocess.run(
        [find_program("kamailio", PACKAGES), "-c", "-f", folder / "kamailio.cfg"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert not re.search("WARNING|ERROR|CRITICAL", done.stderr), done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", SETS)
def test_kamailio_takes_what_is_written(tmp_path: Path, name: str) -> None:
    plan = KamailioPlan(**{**BASE, **SETS[name]}, run_folder=str(tmp_path))
    said = check(tmp_path, plan)
    for domain in plan.domains:
        assert f"*: {domain}:*" in said


def test_a_domain_that_is_an_address_is_kamailio_s_own_only_where_it_listens(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = authority.server()
    tls = KamailioTls("127.0.0.1:5161", str(files.certificate), str(files.key))
    own = {**BASE, "listen": ("0.0.0.0:5160", "127.0.0.2:5160"), "domains": ("192.0.2.1", "example.com")}
    said = check(tmp_path, KamailioPlan(**own, tls=tls))
    assert sorted(re.findall(r"\*: (\S+)", said.partition("Aliases:")[2])) == [
        "192.0.2.1:5160", "192.0.2.1:5161", "example.com:*",
    ]  # fmt: skip


def test_kamailio_takes_a_tls_listener(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = authority.server()
    for ca_file in ("", str(authority.file)):
        tls = KamailioTls("127.0.0.1:5161", str(files.certificate), str(files.key), ca_file)
        assert "tls: 127.0.0.1" in check(tmp_path, KamailioPlan(**BASE, tls=tls))


@pytest.mark.parametrize(
    "wrong",
    [
        {"listen": ()},
        {"domains": ()},
        {"domains": ('example.com"\nlisten=udp:0.0.0.0:1',)},
        {"listen": ("127.0.0.1",)},
        {"listen": ("127.0.0.1:70000",)},
        {"listen": ("127.0.0.1:0",)},
        {"advertise": "a b"},
        {"trusted": ("nobody",)},
        {"realm": 'a"b'},
        {"digest": "MD4"},
        {"credential": KamailioCredential("http://127.0.0.1:8081", "kamailio", "pass@word")},
        {"credential": KamailioCredential("http://127.0.0.1:8081", "kamai/lio", "password")},
        {"credential": KamailioCredential("ftp://127.0.0.1:8081", "kamailio", "password")},
        {"credential": KamailioCredential("http://127.0.0.1:8081/x", "kamailio", "password")},
    ],
)
def test_what_cannot_be_written_is_refused_and_never_shows_a_password(wrong: dict[str, Any]) -> None:
    with pytest.raises(StartRefused) as refused:
        render_kamailio(KamailioPlan(**{**BASE, **wrong}))
    assert "pass@word" not in refused.value.message


@pytest.mark.parametrize("wrong", [(), ("127.0.0.1",), ("127.0.0.1:5070;transport=sctp",), ("127.0.0.1:5070 8",)])
def test_an_application_server_that_is_no_address_is_refused(wrong: tuple[str, ...]) -> None:
    with pytest.raises(StartRefused):
        render_kamailio_servers(KamailioPlan(**{**BASE, "application_servers": wrong}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"application_servers": ("192.0.2.1:5070;transport=tls",)}, "--tls-listen"),
        ({"application_servers": ("[2001:db8::1]:5070",)}, "no address of IPv6"),
        ({"application_servers": ("192.0.2.1:5070",), "listen": ("[::]:5060",)}, "no address of IPv4"),
        (
            {
                "application_servers": ("192.0.2.1:5070;transport=tls",),
                "tls": KamailioTls("[::1]:5061", "/cert.pem", "/key.pem"),
            },
            "no address of IPv4",
        ),
        ({"application_servers": ("0.0.0.0:5070",)}, "--application-server"),
        ({"application_servers": ("[::]:5070",), "listen": ("[::]:5060",)}, "--application-server"),
    ],
)
def test_an_application_server_that_kamailio_cannot_reach_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(StartRefused, match=said):
        render_kamailio_servers(KamailioPlan(**{**BASE, **changes}))


@pytest.mark.parametrize(
    "changes",
    [
        {"application_servers": ("as.example.com:5070",), "listen": ("[::1]:5060",)},
        {"application_servers": ("[2001:db8::1]:5070", "192.0.2.1:5070"), "listen": ("0.0.0.0:5060", "[::]:5060")},
        {"application_servers": ("192.0.2.1:5070",), "listen": ("sip.example.com:5060",)},
        {
            "application_servers": ("192.0.2.1:5070;transport=tls",),
            "tls": KamailioTls("0.0.0.0:5061", "/cert.pem", "/key.pem"),
        },
    ],
)
def test_an_application_server_that_kamailio_can_reach_is_written(changes: dict[str, Any]) -> None:
    plan = KamailioPlan(**{**BASE, **changes})
    assert all(f"sip:{server} 0" in render_kamailio_servers(plan) for server in plan.application_servers)


def test_passwords_are_on_marked_lines_only_and_that_of_the_subscription_is_not_there_at_all() -> None:
    plan = KamailioPlan(**BASE, subscriber="ringback", subscriber_password="in-the-clear")
    text = render_kamailio(plan)
    lines = text.splitlines()
    assert "in-the-clear" not in text
    assert [number for number, line in enumerate(lines, 1) if CREDENTIAL.password in line] == kamailio_secret_lines(
        text
    )[:1]
    assert len(kamailio_secret_lines(text)) == 3


def test_the_same_plan_gives_the_same_text_so_that_a_new_file_ends_no_call() -> None:
    assert render_kamailio(KamailioPlan(**BASE)) == render_kamailio(KamailioPlan(**BASE))
    other = {**BASE, "credential": KamailioCredential("http://127.0.0.1:8081", "kamailio", "another")}
    assert render_kamailio(KamailioPlan(**other)) != render_kamailio(KamailioPlan(**BASE))


# the command ----------------------------------------------------------------------------------------------------------


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {f"RINGBACK_{name.upper()}": value for name, value in environment.items()}
    return subprocess.run(
        [sys.executable, "-m", "ringback", "kamailio", "config", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "RINGBACK_DATA_DIR": str(folder / "data"), **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def credential_file(tmp_path: Path) -> str:
    """As `ringback admin create-user kamailio --role sip-proxy --json` prints it."""
    path = tmp_path / "kamailio.json"
    path.write_text(json.dumps({"username": "kamailio", "role": "sip-proxy", "password": "s-E_c.r~et"}))
    return str(path)


def test_the_command_writes_both_files_for_their_owner_alone(tmp_path: Path, credential_file: str) -> None:
    done = run(
        tmp_path, "--domain", "example.com", "--credential-file", credential_file, "--listen", "127.0.0.1:5160",
        "--output", "kamailio.cfg", sip_listen="127.0.0.1:5070", sip_proxy_user="ringback", sip_proxy_password="secret",
        wake_seconds="90",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    written, servers = tmp_path / "kamailio.cfg", tmp_path / "ringback-application-servers.list"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (written, servers)] == [0o600, 0o600]
    assert "1 sip:127.0.0.1:5070 0" in servers.read_text()
    text = written.read_text()
    assert f'"{servers}"' in text
    assert '"100000"' in text, "the wake-up's time and 10 s"
    assert "s-E_c.r~et" not in done.stdout
    assert ", ".join(map(str, kamailio_secret_lines(text))) in done.stdout
    checked = subprocess.run(
        [find_program("kamailio", PACKAGES), "-c", "-f", written], capture_output=True, check=False, timeout=60
    )
    assert checked.returncode == 0
    assert not list(tmp_path.glob(".kamailio*"))


def test_the_command_prints_to_a_terminal_what_it_would_write(tmp_path: Path, credential_file: str) -> None:
    done = run(
        tmp_path, "--domain", "example.com", "--credential-file", credential_file,
        "--application-server", "192.0.2.1:5070", "--application-server", "192.0.2.2:5070;transport=tcp",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("#!KAMAILIO\n")
    assert "#   1 sip:192.0.2.2:5070;transport=tcp 0\n" in done.stdout
    assert "listen=udp:0.0.0.0:5060" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Missing option '--domain'"),
        (("--domain", "example.com"), "--credential-file"),
        (("--domain", "example.com", "--no-digest"), "There is no application server"),
        (("--domain", "example.com", "--credential-file", "other.json"), "create-user"),
        (("--domain", "a b", "--no-digest", "--application-server", "a:1"), "is not a domain"),
        (("--domain", "a.b", "--no-digest", "--tls-listen", "a:1"), "--tls-certificate"),
        (("--domain", "a.b", "--no-digest", "--application-server", "a:1", "--output", "none/k.cfg"), "No such file"),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(
    tmp_path: Path,
    arguments: tuple[str, ...],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "other.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RINGBACK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(sys, "argv", ["ringback", "kamailio", "config", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code not in {0, None}
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
