"""Where everything of a bed is: one block of loopback addresses, fixed ports in it, and the folders under DIR.

Fixed ports on addresses of our own instead of free ports: nothing can take a port between choosing and binding it, and
the deck file reads the same on every run but for one number.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from tests.bed.errors import BedError

FIRST_BLOCK, LAST_BLOCK = 101, 180

ETCD_PORT, ETCD_PEER_PORT = 12379, 12380
API_PORT = 16443
HTTP_PORT = 18000
LIMITED_PORT = 18001
ADMIN_PORT = 18080
SSH_PORT = 10022
AWS_PORT = 14566
BACKEND_PORT = 8000

WEB_HOSTS = ("web-1", "web-2")
LB_HOSTS = ("lb-1", "lb-2")
EDGE_HOST = "edge-1"
HOSTS = (*WEB_HOSTS, *LB_HOSTS, EDGE_HOST)
CLUSTERS = ("eu", "us")
TRAEFIK_REPLICAS = {"eu": 2, "us": 1}

_HOST_NUMBERS = {"web-1": 11, "web-2": 12, "lb-1": 21, "lb-2": 22, EDGE_HOST: 31}
_CLUSTER_NUMBERS = {"eu": 1, "us": 2}


@dataclass(frozen=True, slots=True)
class Layout:
    """Addresses and paths of one bed. `block` is the second number of its addresses."""

    dir: Path
    block: int

    def address(self, third: int, fourth: int) -> str:
        return f"127.{self.block}.{third}.{fourth}"

    # --- addresses -------------------------------------------------------------------------------------------------

    @property
    def etcd(self) -> str:
        return self.address(0, 1)

    def api(self, cluster: str) -> str:
        return self.address(_CLUSTER_NUMBERS[cluster], 1)

    def api_url(self, cluster: str) -> str:
        return f"https://{self.api(cluster)}:{API_PORT}"

    def traefik(self, cluster: str, replica: int) -> str:
        return self.address(_CLUSTER_NUMBERS[cluster], 10 + replica)

    def service_range(self, cluster: str) -> str:
        return f"127.{self.block}.{48 + 16 * _CLUSTER_NUMBERS[cluster]}.0/20"

    def service(self, cluster: str, number: int) -> str:
        """The ClusterIP of the `number`th Service of a cluster: a loopback address that its backend binds."""
        return self.address(48 + 16 * _CLUSTER_NUMBERS[cluster], 10 + number)

    def host(self, name: str) -> str:
        return self.address(3, _HOST_NUMBERS[name])

    @property
    def aws(self) -> str:
        """The recording proxy, which is what the deck talks to."""
        return self.address(4, 1)

    @property
    def ministack(self) -> str:
        return self.address(4, 2)

    @property
    def moto(self) -> str:
        return self.address(4, 3)

    def vm_backend(self, number: int) -> str:
        return self.address(5, number)

    @property
    def function_stand_in(self) -> str:
        return self.address(6, 1)

    @property
    def traffic_source(self) -> str:
        """Where the bed's own traffic comes from, so that it never shares a bucket with a caller on 127.0.0.1."""
        return self.address(250, 1)

    # --- folders ---------------------------------------------------------------------------------------------------

    @property
    def logs(self) -> Path:
        return self.dir / "logs"

    @property
    def kube(self) -> Path:
        return self.dir / "kube"

    @property
    def ssh(self) -> Path:
        return self.dir / "ssh"

    @property
    def state(self) -> Path:
        return self.dir / "state"

    def host_folder(self, name: str) -> Path:
        return self.dir / "hosts" / name

    def kubeconfig(self, cluster: str, user: str) -> Path:
        return self.kube / cluster / f"{user}.kubeconfig"

    def write_log(self, name: str) -> Path:
        """JSON lines of the writes seen at one server or host."""
        return self.dir / "writes" / f"{name}.jsonl"


def _is_free(block: int) -> bool:
    """True when nothing listens on the ports of this block, as far as one address of each kind can tell."""
    wanted = [(0, 1, ETCD_PORT), (1, 1, API_PORT), (2, 1, API_PORT), (4, 1, AWS_PORT), (6, 1, BACKEND_PORT)]
    wanted += [(3, number, port) for number in _HOST_NUMBERS.values() for port in (SSH_PORT, HTTP_PORT)]
    wanted += [(1, 11, HTTP_PORT), (1, 11, ADMIN_PORT), (4, 2, AWS_PORT), (4, 3, AWS_PORT)]
    for third, fourth, port in wanted:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((f"127.{block}.{third}.{fourth}", port))
                probe.listen(1)
            except OSError:
                return False
    return True


def hold_block() -> tuple[int, socket.socket]:
    """Find a free block and hold it: the returned socket keeps others away for as long as it is open."""
    for block in range(FIRST_BLOCK, LAST_BLOCK + 1):
        holder = socket.socket()
        try:
            holder.bind((f"127.{block}.0.1", HTTP_PORT))
            holder.listen(1)
        except OSError:
            holder.close()
            continue
        if _is_free(block):
            return block, holder
        holder.close()
    raise BedError(f"no free block of loopback addresses between 127.{FIRST_BLOCK} and 127.{LAST_BLOCK}")
