"""The same environment reached through a relay: one per platform."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import yaml

from adapters.kubernetes.section import KubernetesConfig
from adapters.ssh.section import SshConfig
from control.deck.config import EnvironmentConfig
from control.structs import replace
from tests.bed.description import Bed
from tests.conformance.relay import Relay

SSH_PORT = 10022


def detour(bed: Bed, config: EnvironmentConfig, host: str, folder: Path) -> tuple[EnvironmentConfig, Relay]:
    """`config` changed so that all its traffic passes a relay; for hosts, that of `host` alone."""
    if isinstance(config.settings, KubernetesConfig):
        return _cluster(config, folder)
    if isinstance(config.settings, SshConfig):
        return _host(bed, config, host, folder)
    return _functions(config)


def _cluster(config: EnvironmentConfig, folder: Path) -> tuple[EnvironmentConfig, Relay]:
    assert config.settings.kubeconfig is not None
    content = yaml.safe_load(Path(config.settings.kubeconfig).read_text())
    cluster = content["clusters"][0]["cluster"]
    server = urlsplit(cluster["server"])
    assert server.hostname and server.port
    relay = Relay(server.hostname, server.port)
    cluster |= {"server": f"https://127.0.0.1:{relay.port}", "tls-server-name": server.hostname}
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(content))
    return replace(config, settings=replace(config.settings, kubeconfig=str(path))), relay


def _host(bed: Bed, config: EnvironmentConfig, host: str, folder: Path) -> tuple[EnvironmentConfig, Relay]:
    assert config.settings.config is not None
    original = Path(config.settings.config).read_text()
    block = original.split(f"Host {host}\n")[1].split("Host ")[0]
    address = block.split("HostName ")[1].split()[0]
    user = block.split("User ")[1].split()[0]
    relay = Relay(address, SSH_PORT)
    known = (bed.dir / "ssh" / "known_hosts").read_text().splitlines()
    key = next(line.split(" ", 1)[1] for line in known if line.startswith(f"[{address}]"))
    hosts = folder / "known_hosts"
    hosts.write_text(f"[127.0.0.1]:{relay.port} {key}\n")
    path = folder / "config"
    path.write_text(
        f"Host {host}\n    HostName 127.0.0.1\n    Port {relay.port}\n    User {user}\n    ProxyJump none\n"
        f"    IdentityFile {bed.dir}/ssh/id_deck\n    IdentitiesOnly yes\n    UserKnownHostsFile {hosts}\n"
        "    GlobalKnownHostsFile /dev/null\n"
    )
    return replace(config, settings=replace(config.settings, hosts=(host,), config=str(path))), relay


def _functions(config: EnvironmentConfig) -> tuple[EnvironmentConfig, Relay]:
    server = urlsplit(config.settings.endpoints["lambda"])
    assert server.hostname and server.port
    relay = Relay(server.hostname, server.port)
    endpoints = dict.fromkeys(config.settings.endpoints, f"http://127.0.0.1:{relay.port}")
    return replace(config, settings=replace(config.settings, endpoints=endpoints)), relay
