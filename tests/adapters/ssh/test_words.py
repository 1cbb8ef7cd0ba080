"""What may be sent to a host, and what comes back from it: quoting, vocabularies, parsers of answers."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.ssh.client import discovery, scripts, write_script
from adapters.ssh.client.paths import checked, checked_command, checked_log, checked_question, roots
from adapters.ssh.client.ports import Process
from adapters.ssh.client.shell import assign, quote
from adapters.ssh.client.tree import TreeParts
from adapters.ssh.proxies.haproxy import processes as haproxy_processes
from adapters.ssh.proxies.haproxy.program import PROGRAM as HAPROXY
from adapters.ssh.proxies.haproxy.sockets import stats_sockets
from adapters.ssh.proxies.nginx import processes as nginx_processes
from adapters.ssh.proxies.table import programs
from adapters.ssh.section import ProxyConfig
from control.errors import ControlError, Forbidden, InvalidValue, PlatformError

words = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=60)


@settings(max_examples=60, deadline=None)
@given(words)
def test_a_quoted_word_arrives_as_it_was(word: str) -> None:
    script = assign(VALUE=word) + f'printf %s "$VALUE"; printf "\\n--\\n"; printf %s {quote(word)}'
    done = subprocess.run(["sh", "-c", script], capture_output=True, timeout=10, check=True)
    assert done.stdout == word.encode() + b"\n--\n" + word.encode()


def test_what_can_be_no_argument_is_refused() -> None:
    with pytest.raises(InvalidValue):
        quote("a\0b")
    with pytest.raises(ValueError, match="lower"):
        assign(**{"lower; rm": "x"})


READING = [
    scripts.PROCESSES,
    scripts.probe(programs().values(), sudo=True),
    scripts.TREE,
    scripts.FACTS,
    scripts.RIGHTS,
    scripts.LOG_TAIL,
    scripts.WATCH,
]


@pytest.mark.parametrize("script", [*READING, scripts.SOCKET, write_script.REPLACE])
def test_scripts_are_sound_posix_shell(script: str) -> None:
    done = subprocess.run(["sh", "-n"], input=script.encode(), capture_output=True, timeout=10, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("script", READING)
def test_reading_scripts_hold_no_writing_command(script: str) -> None:
    tokens = script.replace(";", " ").replace("$(", " ").replace("{", " ").split()
    writing = {"mv", "cp", "rm", "ln", "tee", "touch", "chmod", "chown", "mkdir", "truncate", "install", "dd", "eval"}
    assert not writing & set(tokens)
    assert not any(token in (">", ">>") for token in tokens)
    targets = [token for token in tokens if ">" in token and not token.startswith(("'", '"'))]
    harmless = (">/dev/null", "2>/dev/null", "2>&1", "2>&1)", ">/dev/null)", "2>/dev/null)")
    assert all(token in harmless for token in targets), targets


@pytest.mark.parametrize(
    "what", ["stat", "info", "servers state", "servers state chat", "map /etc/haproxy/a.map", "proc"]
)
def test_what_may_be_shown(what: str) -> None:
    assert checked_question(HAPROXY, f"show {what}") == f"show {what}"


@pytest.mark.parametrize(
    "what",
    [
        "stat; set server a/b weight 0",
        "stat\nset weight a/b 0",
        "sess",
        "env",
        "map a b",
        "",
        "map <<x",
        "errors",
        "cli sockets",
    ],
)
def test_what_may_not_be_shown(what: str) -> None:
    with pytest.raises(InvalidValue):
        checked_question(HAPROXY, f"show {what}")


@pytest.mark.parametrize(
    "command",
    [
        "show stat",
        "shutdown sessions server a/b",
        "set server a/b weight 1; disable frontend f",
        "set server a/b weight 1\ndisable frontend f",
        "set map x y <<",
        "set server a/b addr \\x",
        "set ssl cert x",
        "set map a b \x1b",
    ],
)
def test_commands_that_may_not_be_sent(command: str) -> None:
    with pytest.raises(InvalidValue):
        checked_command(HAPROXY, command)


@given(words)
def test_no_command_leaves_its_line(command: str) -> None:
    try:
        checked_command(HAPROXY, "set server " + command)
    except InvalidValue:
        return
    assert "\n" not in command
    assert ";" not in command


@pytest.mark.parametrize("path", ["relative", "/a\nb", "/a\0", ""])
def test_paths_that_are_none(path: str) -> None:
    with pytest.raises(InvalidValue):
        checked(path)


@pytest.mark.parametrize(
    "path", ["/etc/shadow", "/root/.bash_history", "/home/a/.ssh/id", "/var/log/../../etc/x", "/proc/1/environ"]
)
def test_places_where_no_log_is_read(path: str) -> None:
    with pytest.raises(ControlError):
        checked_log(path)
    assert checked_log("/var/log/nginx/access.log")


def test_a_system_folder_never_becomes_the_proxys_tree() -> None:
    assert "/etc" not in roots(HAPROXY, ["/etc/haproxy.cfg"], [])
    assert "/srv/lb" in roots(HAPROXY, ["/srv/lb/haproxy.cfg"], [])


@given(st.text(), st.sampled_from(["@@identity", "@@processes", "@@clock", "@@end", "P 1 nginx"]))
def test_no_answer_breaks_discovery(text: str, head: str) -> None:
    answer = f"@@identity\nroot\n0\nhost\n{head}\n{text}\n@@end"
    discovery.parse_probe(answer, "h", 1.0, 2.0, programs())


def test_an_answer_that_is_none_is_told() -> None:
    with pytest.raises(PlatformError):
        discovery.parse_probe("This account is currently not available.", "h", 1.0, 2.0, programs())


@given(st.binary() | st.lists(st.sampled_from([b"G", b"F", b"D", b"U", b"X", b"\t", b"\n", b"/x"])).map(b"".join))
@example(b"X")
def test_no_answer_breaks_the_tree(data: bytes) -> None:
    try:
        TreeParts().take(data, "marker")
    except PlatformError:
        return


@given(st.lists(st.binary(max_size=200), max_size=4))
def test_files_arrive_byte_for_byte(files: list[bytes]) -> None:
    answer = b"G\t/x/*\n"
    for number, data in enumerate(files):
        answer += f"F\t{len(data)} 644 root root 1.5 2.5\t1\t/x/{number}\n".encode() + data + b"\nmarker\n"
    parts = TreeParts()
    if any(b"\nmarker\n" in b"\n" + data + b"\n" for data in files):
        return
    parts.take(answer, "marker")
    assert list(parts.files.values()) == files
    assert parts.expanded == {"/x/*": tuple(f"/x/{number}" for number in range(len(files)))}


def test_the_admin_socket_is_preferred() -> None:
    text = (
        b"global\n stats socket /run/user.sock mode 666 level user\n  stats socket unix@/run/admin.sock level admin\n"
        b"# stats socket /run/comment.sock level admin\nstats socket ipv4@127.0.0.1:9999 level admin\n"
    )
    assert stats_sockets([("h.cfg", text)]) == ["/run/admin.sock", "127.0.0.1:9999", "/run/user.sock"]
    assert stats_sockets([("h.cfg", b"global\n")]) == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b'stats socket "/run/my haproxy.sock" "level" admin', ["/run/my haproxy.sock"]),
        (b"stats socket '/run/a.sock'", ["/run/a.sock"]),
        (b'setenv RUN /run/x\n stats socket "${RUN}/a.sock" level admin', ["/run/x/a.sock"]),
        (b'stats socket "${ELSEWHERE}/a.sock" level admin', []),
        (b"unix-bind prefix /srv\n stats socket /a.sock", ["/a.sock", "/srv/a.sock"]),
        (b"stats socket *:9999 level admin", ["127.0.0.1:9999"]),
        (b"stats socket :9999", ["127.0.0.1:9999"]),
        (b"stats socket ipv6@[::1]:9999", ["[::1]:9999"]),
        (b"stats socket ipv6@[::]:9999", ["[::1]:9999"]),
        (b"stats socket abns@hidden level admin", []),
        (b"stats socket fd@5", []),
    ],
)
def test_every_way_to_name_a_stats_socket(line: bytes, found: list[str]) -> None:
    assert stats_sockets([("h.cfg", b"global\n " + line + b"\n")]) == found


def _process(kind: str, pid: int, parent: int, started: float, *arguments: str, title: str = "") -> Process:
    return Process(kind, pid, parent, started, arguments, title)


def test_the_master_of_the_right_configuration_is_chosen() -> None:
    found = [
        _process("nginx", 10, 1, 1.0, title="master process nginx"),
        _process("nginx", 11, 10, 1.0, title="worker process"),
        _process("nginx", 20, 1, 2.0, title="master process nginx -c /srv/n.conf"),
        _process("nginx", 21, 20, 2.0, title="worker process"),
        _process("nginx", 22, 20, 1.5, title="worker process is shutting down"),
        _process("nginx", 23, 20, 1.5, title="cache manager process"),
    ]
    workers = nginx_processes.workers(ProxyConfig("nginx", config="/srv/n.conf"), None, found)
    assert workers.master == 20
    assert workers.serving == {21}
    other = ProxyConfig("nginx", config="/etc/nginx/nginx.conf")
    assert nginx_processes.workers(other, None, found).master == 10


def test_haproxys_newest_worker_serves() -> None:
    found = [
        _process("haproxy", 5, 1, 1.0, "haproxy", "-W", "-f", "/etc/haproxy/haproxy.cfg"),
        _process("haproxy", 6, 5, 1.0, "haproxy"),
        _process("haproxy", 7, 5, 9.0, "haproxy"),
    ]
    workers = haproxy_processes.workers(ProxyConfig("haproxy"), found)
    assert (workers.master, workers.serving) == (5, {7})
    single = haproxy_processes.workers(ProxyConfig("haproxy"), found[:1])
    assert (single.master, single.serving) == (None, {5})


def test_several_configuration_files_keep_their_order() -> None:
    process = _process("haproxy", 5, 1, 1.0, "haproxy", "-f", "/a.cfg", "/b.cfg", "-W", "-f", "/c.cfg")
    assert haproxy_processes.files_of(process) == ("/a.cfg", "/b.cfg", "/c.cfg")


def test_forbidden_is_the_kind_for_a_private_log() -> None:
    with pytest.raises(Forbidden):
        checked_log("/etc/passwd")
