"""HAProxy's running state in memory: seeded from the configuration, changed by runtime commands, asked with `show`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from adapters.ssh.client.ports import ConfigTree, Process
from adapters.ssh.proxies.haproxy import map as haproxy_map
from adapters.ssh.proxies.haproxy.config import Config
from adapters.ssh.proxies.haproxy.program import CONFIG, PROGRAM
from adapters.ssh.proxies.haproxy.proxy_limits import find
from adapters.ssh.proxies.haproxy.servers import Backend, Server

STATE_COLUMNS = (
    "be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
    "srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state "
    "bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord"
)
STAT_COLUMNS = (
    "pxname,svname,qcur,scur,slim,stot,dreq,ereq,econ,eresp,status,weight,act,bck,chkfail,downtime,type,rate,"
    "check_status,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,req_rate,req_tot,lbtot,qtime,rtime,ttime,"
    "last_chk,uweight"
)
_DEFAULT_MAXCONN = 20000
DRAIN, MAINTENANCE = 0x08, 0x01
Counters = Callable[[str, str], Mapping[str, int]]
"""(backend or frontend, server or `BACKEND` or `FRONTEND`) -> columns of `show stat` that count."""


@dataclass(slots=True)
class RunningServer:
    address: str
    weight: int
    initial: int
    maxconn: int
    admin: int = 0
    up: bool = True
    checked: bool = True

    @property
    def status(self) -> str:
        if self.admin & MAINTENANCE:
            return "MAINT"
        if not self.checked:
            return "no check"
        if not self.up:
            return "DOWN"
        return "DRAIN" if self.admin & DRAIN or self.weight == 0 else "UP"


class MemoryHAProxy:
    """One running HAProxy. `counters` says what its statistics count; `down` names servers that fail their checks."""

    program = PROGRAM
    main = CONFIG
    said: tuple[str, ...] = ("HAProxy version 3.0.11",)

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.counters: Counters = lambda proxy, server: {}
        self.down: frozenset[tuple[str, str]] = frozenset()
        self.servers: dict[tuple[str, str], RunningServer] = {}
        self.maps: dict[str, dict[str, str]] = {}
        self.frontends: dict[str, int] = {}
        """Each with its maxconn."""
        self.maxconn = self.hard_maxconn = _DEFAULT_MAXCONN
        self.reload(files)

    def reload(self, files: Mapping[str, bytes]) -> None:
        """See `MemoryTwin.reload`."""
        config = Config(ConfigTree((self.main,), dict(files)))
        self.servers = {
            (backend.name, server.name): _running(backend, server)
            for backend in config.backends
            for server in backend.servers
        }
        limits = {limit.name: limit.setting.number for limit in find(config.sections)}
        self.maxconn = self.hard_maxconn = limits.get("global maxconn", 0) or _DEFAULT_MAXCONN
        self.frontends = {
            s.name: limits.get(f"{s.keyword} {s.name} maxconn", 0) or self.maxconn
            for s in config.sections
            if s.keyword in ("frontend", "listen")
        }
        self.maps = {}
        for name, path in config.maps().items():
            entries = haproxy_map.entries(files.get(path, b""))
            self.maps[name] = {entry.key: entry.value for entry in entries}

    def dump(self) -> dict[str, Any]:
        """The state as JSON."""
        servers = [[backend, name, asdict(server)] for (backend, name), server in self.servers.items()]
        maps = {name: dict(entries) for name, entries in self.maps.items()}
        return {"servers": servers, "maps": maps, "frontends": dict(self.frontends), "maxconn": self.maxconn}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `dump` gave."""
        self.servers = {(backend, name): RunningServer(**server) for backend, name, server in state["servers"]}
        self.maps = {name: dict(entries) for name, entries in state["maps"].items()}
        self.frontends |= state.get("frontends", {})
        self.maxconn = state.get("maxconn", self.maxconn)

    def processes(self, started: float, first: int) -> list[Process]:
        """A master and a worker."""
        arguments = ("/usr/sbin/haproxy", "-Ws", "-f", CONFIG)
        return [Process(PROGRAM.name, pid, parent, started, arguments) for pid, parent in ((900, 1), (first, 900))]

    # --- show

    def ask(self, question: str) -> str:
        """The answer to `show WHAT`, as HAProxy formats it."""
        what = question.removeprefix("show ")
        words = what.split()
        if what.startswith("servers state"):
            return self._servers_state()
        if words[0] == "stat":
            return self._stat()
        if words[0] == "info":
            return (
                "Name: HAProxy\nVersion: 3.0.11\nNbthread: 4\nUptime_sec: 86400\n"
                f"Maxconn: {self.maxconn}\nHard_maxconn: {self.hard_maxconn}\n\n"
            )
        if words[0] == "map":
            return self._map(words[1:])
        return "\n"

    def _servers_state(self) -> str:
        lines = ["1", f"# {STATE_COLUMNS}"]
        for number, ((backend, name), server) in enumerate(self.servers.items(), 1):
            host, _, port = server.address.rpartition(":")
            operating = 2 if self._is_up(backend, name) else 0
            lines.append(
                f"{number} {backend} {number} {name} {host or '-'} {operating} {server.admin} {server.weight}"
                f" {server.initial} 86400 6 3 4 6 0 0 0 - {port or 0} -"
            )
        return "\n".join(lines) + "\n\n"

    def _is_up(self, backend: str, name: str) -> bool:
        return (backend, name) not in self.down

    def _stat(self) -> str:
        rows = [
            {"pxname": name, "svname": "FRONTEND", "status": "OPEN", "type": "0", "slim": str(limit)}
            for name, limit in self.frontends.items()
        ]
        for backend in dict.fromkeys(backend for backend, _ in self.servers):
            rows += [self._server_row(backend, name) for owner, name in self.servers if owner == backend]
            rows.append({"pxname": backend, "svname": "BACKEND", "status": "UP", "type": "1"})
        names = STAT_COLUMNS.split(",")
        lines = [f"# {STAT_COLUMNS},"]
        for row in rows:
            counted = {name: str(value) for name, value in self.counters(row["pxname"], row["svname"]).items()}
            lines.append(",".join({**row, **counted}.get(name, "") for name in names) + ",")
        return "\n".join(lines) + "\n\n"

    def _server_row(self, backend: str, name: str) -> dict[str, str]:
        server = self.servers[backend, name]
        server.up = self._is_up(backend, name)
        return {
            "pxname": backend,
            "svname": name,
            "status": server.status,
            "weight": str(server.weight),
            "uweight": str(server.weight),
            "slim": str(server.maxconn) if server.maxconn else "",
            "type": "2",
            "check_status": ("L7OK" if server.up else "L4CON") if server.checked else "",
            "last_chk": "" if server.up else "Connection refused",
        }

    def _map(self, words: list[str]) -> str:
        if not words:
            head = "# id (file) description\n"
            return head + "".join(f"{n} ({name}) pattern loaded\n" for n, name in enumerate(self.maps)) + "\n"
        entries = self.maps.get(words[0])
        if entries is None:
            return "Unknown map identifier. Please use #<id> or <file>.\n\n"
        return "".join(f"{0x55550000 + n:#x} {key} {value}\n" for n, (key, value) in enumerate(entries.items())) + "\n"

    # --- set

    def tell(self, command: str) -> str:
        """Do one runtime command; the answer is empty when it was done, as HAProxy's is."""
        words = command.split()
        if words[:2] == ["set", "map"] and len(words) == 5:
            return self._set_map(words[2], words[3], words[4])
        if words[:3] == ["set", "maxconn", "frontend"] and len(words) == 5:
            if words[3] not in self.frontends:
                return "No such frontend."
            self.frontends[words[3]] = int(words[4])
            return ""
        if words[:3] == ["set", "maxconn", "global"] and len(words) == 4:
            if int(words[3]) > self.hard_maxconn:
                return "Value out of range."
            self.maxconn = int(words[3]) or self.hard_maxconn
            return ""
        if words[:3] == ["set", "maxconn", "server"] and len(words) == 5:
            return self._on_server(words[3], "maxconn", words[4])
        if words[:2] == ["set", "server"] and len(words) == 5:
            return self._on_server(words[2], words[3], words[4])
        if words[:2] == ["set", "weight"] and len(words) == 4:
            return self._on_server(words[2], "weight", words[3])
        return "Unknown command."

    def _set_map(self, name: str, key: str, value: str) -> str:
        if key not in self.maps.get(name, {}):
            return "entry not found." if name in self.maps else "Unknown map identifier. Please use #<id> or <file>."
        self.maps[name][key] = value
        return ""

    def _on_server(self, address: str, field: str, value: str) -> str:
        backend, _, name = address.partition("/")
        server = self.servers.get((backend, name))
        if server is None:
            return "No such server."
        if field == "state":
            if value not in ("ready", "drain", "maint"):
                return "'set server <srv> state' expects 'ready', 'drain' and 'maint'."
            server.admin = {"ready": 0, "drain": DRAIN, "maint": MAINTENANCE}[value]
            return ""
        if not value.isdigit() or (field == "weight" and int(value) > 256):
            return "Absolute weight can only be between 0 and 256 inclusive." if field == "weight" else "Bad value."
        if field not in ("weight", "maxconn"):
            return "Unknown field."
        setattr(server, field, int(value))
        return ""


def _running(backend: Backend, server: Server) -> RunningServer:
    weight = server.all["weight"].number if "weight" in server.all else 1
    maxconn = server.all["maxconn"].number if "maxconn" in server.all else 0
    admin = MAINTENANCE if server.disabled else 0
    return RunningServer(server.address, weight, weight, maxconn, admin, True, server.flag("check"))


def twin(files: Mapping[str, bytes]) -> MemoryHAProxy | None:
    """What runs on a host that has these files."""
    return MemoryHAProxy(files) if CONFIG in files else None
