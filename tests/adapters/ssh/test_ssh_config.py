"""Our own reading of ssh config, held to what `ssh -G` says of the same files."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.ssh.client import hosts, ssh_config
from adapters.ssh.section import SshConfig
from control.errors import DeckError

COMPARED = (
    "hostname",
    "user",
    "port",
    "identityfile",
    "certificatefile",
    "identitiesonly",
    "identityagent",
    "hostkeyalias",
    "userknownhostsfile",
    "revokedhostkeys",
    "knownhostscommand",
    "proxycommand",
    "proxyjump",
)
needs_ssh = pytest.mark.skipif(shutil.which("ssh") is None, reason="needs the OpenSSH client")


def _both(host: str, config: Path) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """(what ssh says, what we read), of the keywords that this program uses and the file sets."""
    done = subprocess.run(
        ["ssh", "-G", "-F", str(config), "--", host], capture_output=True, text=True, timeout=10, check=True
    )
    theirs, ours = hosts.parse_options(done.stdout), ssh_config.read(host, None, config)
    set_here = [keyword for keyword in COMPARED if keyword in ours]
    return ({k: theirs.get(k, []) for k in set_here}, {k: list(ours[k]) for k in set_here})


def _same(host: str, config: Path) -> None:
    theirs, ours = _both(host, config)
    for keyword, values in ours.items():
        if keyword == "identityfile" and theirs[keyword][0].startswith("~/.ssh/id_rsa"):
            continue  # the defaults: we offer those types that we can use
        expected = theirs[keyword]
        if keyword == "proxyjump":
            values = [value for value in values if value != "none"]
        if keyword in ("userknownhostsfile", "identityagent"):
            values = [value.replace("~", str(Path("~").expanduser())) for value in values]
        assert values == expected or (values == [] and not expected), keyword


CASES = {
    "an include below a host that does not match is not applied": (
        "Host other\n  Include {dir}/more\nHost web\n  Port 8\n",
        "User wrong\nHost web\n  HostName wrong.example\n",
    ),
    "an include below the host that matches": ("Host web\n  Include {dir}/more\n  User late\n", "User ops\nPort 7\n"),
    "a host line of an included file ends with it": (
        "Include {dir}/more\nUser ops\nHost web\n  Port 9\n",
        "Host elsewhere\n  User wrong\n",
    ),
    "the first value wins": ("Host web\n  Port 1\nHost *\n  Port 2\n  User a\n", ""),
    "identity files add up": ("Host web\n  IdentityFile /a\nHost *\n  IdentityFile /b\n  IdentityFile /a\n", ""),
    "a pattern that is excluded": ("Host * !web\n  User wrong\nHost w?b\n  User right\n", ""),
    "words in quotes and after an equals sign": ('Host = "web"\n  IdentityFile="/with space/k"\n  user = ops\n', ""),
    "comments, tabs and indented keywords": ("# Host web\n\tHost\tweb # here\n\t\tPort\t2022 # there\n", ""),
    "match host and user": (
        "Match host web user root\n  Port 5\nMatch host web !user root\n  Port 6\nMatch originalhost web\n  User b\n",
        "",
    ),
    "match on the name that was set": ("Host web\n  HostName real.example\nMatch host real.*\n  Port 44\n", ""),
    "match exec": ('Match exec "test %h = web"\n  Port 10\nMatch exec "test %h = x"\n  Port 11\n', ""),
    "match all": ("Match all\n  Port 12\n", ""),
    "match final": ("Match final host real.example\n  Port 13\nHost web\n  HostName real.example\n", ""),
    "a command is the rest of the line": ("Host web\n  ProxyCommand nc -X 5 %h %p # not a comment\n", ""),
    "the first of jump and command": ("Host web\n  ProxyJump a,b\n  ProxyCommand nc %h %p\n", ""),
    "tokens in names and paths": (
        "Host web\n  HostName %h.example\n  IdentityAgent /run/%r/%h\n  UserKnownHostsFile /kh/%k /kh/%%\n",
        "",
    ),
    "an agent's socket in a folder with spaces": (
        'Match host * exec "test -n web"\n  IdentityAgent "~/Group Containers/a.b/agent.sock"\n',
        "",
    ),
    "lists of patterns in quotes": (
        'Match Host "!*.example.com,*.*"\n  Hostname %h\nMatch Host "!*.example.com,*"\n  Hostname %h.example.com\n'
        "Match host *.example.com\n  User root\n",
        "",
    ),
    "a local user, then all again": ("Match localuser root\n  IdentityAgent /run/a\nMatch All\n  Port 77\n", ""),
    "no jump where a command says so": (
        'Match host w* exec "test $(echo home) = home"\n  ProxyJump none\nHost w*\n  ProxyJump gate\n  User deploy\n',
        "",
    ),
    "a comment after a value": ("Host web\n  User ops # who we are\n  Port 2022 # there\n", ""),
    "several names of which one is it": ("Host db web cache\n  HostName %h.lan\n  IdentityFile ~/.ssh/a\n", ""),
    "a folder of files, some for others": ("Include {dir}/m*\nHost *\n  User last\n", "Host w*\n  User first\n"),
    "an equals sign with blanks and a keyword alone": ("Host web\n  Port = 2022\n  User   =ops\n", ""),
    "a shell that the user has": ('Match exec "[[ web = w* ]]"\n  Port 78\n', ""),
    "names are compared with their case": ("Host WEB\n  Port 3\n  HostName Real.Example\n", ""),
}


@needs_ssh
@pytest.mark.parametrize("case", CASES)
def test_it_reads_what_ssh_reads(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", shutil.which("bash") or "/bin/sh")
    main, more = CASES[case]
    (tmp_path / "more").write_text(more)
    (tmp_path / "config").write_text(main.replace("{dir}", str(tmp_path)))
    _same("web", tmp_path / "config")


_hosts = st.sampled_from(["web", "other", "*", "w*", "!web", "!other *", "web other", "?eb", "*.example"])
_lines = st.sampled_from(
    [
        "Port 22{n}",
        "User u{n}",
        "HostName h{n}.example",
        "HostName %h.example",
        "IdentityFile /k/{n}",
        "IdentityFile none",
        "CertificateFile /c/{n}",
        "IdentitiesOnly yes",
        "HostKeyAlias a{n}",
        "ProxyJump j{n}",
        "ProxyCommand nc %h {n}",
        "RevokedHostKeys /r/{n}",
        "# Port 1",
        "Include {dir}/part{m}",
    ]
)
_block = st.tuples(
    st.one_of(
        _hosts.map("Host {}".format),
        _hosts.filter(lambda p: " " not in p).map("Match host {}".format),
        st.just("Match all"),
        st.just("Match user u1"),
        st.just("Match originalhost web"),
    ),
    st.lists(_lines, max_size=4),
)
_file = st.tuples(st.lists(_lines, max_size=2), st.lists(_block, max_size=4))


def _text(drawn: tuple[list[str], list[tuple[str, list[str]]]], folder: Path, part: int) -> str:
    """`part`: files include only later ones, so that nothing goes in a circle."""
    numbers = iter(range(part * 100, 100000))
    lines = [*drawn[0]]
    for head, body in drawn[1]:
        lines += [head, *(f"  {line}" for line in body)]
    filled = [line.replace("{n}", str(next(numbers) % 90 + 1)) for line in lines]
    return "\n".join(filled).replace("{dir}", str(folder)).replace("{m}", str(part + 1)) + "\n"


@needs_ssh
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.tuples(_file, _file, _file))
def test_any_files_are_read_as_ssh_reads_them(tmp_path: Path, files: tuple[object, ...]) -> None:
    for part, drawn in enumerate(files):
        (tmp_path / f"part{part}").write_text(_text(drawn, tmp_path, part))  # type: ignore[arg-type]
    (tmp_path / "part3").write_text("")
    _same("web", tmp_path / "part0")


def test_an_include_in_a_circle_is_told(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(f"Include {config}\n")
    with pytest.raises(DeckError, match="circle"):
        ssh_config.read("a", None, config)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Match localnetwork 10.0.0.0/8\n  Port 1\n", "Match localnetwork"),
        ("CanonicalizeHostname yes\nCanonicalDomains example.com\n", "CanonicalizeHostname"),
    ],
)
def test_what_only_an_ssh_program_works_out_is_named(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(DeckError, match=named):
        ssh_config.read("a", None, tmp_path / "config")


def test_without_an_ssh_program_it_is_what_connects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts.shutil, "which", lambda name: None)
    (tmp_path / "more").write_text("Host web-1\n  HostName 10.1.1.1\n  Port 2022\n")
    config = tmp_path / "config"
    config.write_text(f"Host db-*\n  Include {tmp_path}/more\nHost *\n  User ops\n")
    found = hosts.resolve("web-1", SshConfig(("web-1",), config=str(config)))
    assert (found.hostname, found.port, found.user) == ("web-1", 22, "ops")
