"""The demo fleet's deck: twelve environments, nine services, as a deck file would name them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from adapters.demo.cluster_data import CLUSTERS
from adapters.demo.function_data import REGIONS
from adapters.demo.hosts import GROUPS, HAPROXY_MAIN, HAPROXY_SOCKET, NGINX_LOG, NGINX_MAIN
from adapters.kubernetes import section as kubernetes
from adapters.serverless.aws import section as aws
from adapters.ssh import section as ssh
from control.deck.config import (
    DeckConfig,
    EnvironmentConfig,
    FrontConfig,
    GuardConfig,
    ServiceConfig,
)
from control.deck.sections import DeckSection

GUARDS = GuardConfig()
PLACES: Mapping[str, tuple[str, str, str | None]] = {
    "prod-eu": ("eu-west-1", "production", "eu"),
    "prod-us": ("us-east-1", "production", "us"),
    "prod-ap": ("ap-southeast-1", "production", "ap"),
    "staging": ("eu-west-1", "staging", None),
    "dev": ("eu-west-1", "dev", None),
    "gpu-eu": ("eu-west-1", "production", "gpu-eu"),
    "gpu-us": ("us-east-1", "production", "gpu-us"),
    "edge": ("eu-west-1", "production", "edge"),
    "lab": ("eu-west-1", "dev", None),
    "fn-eu": ("eu-central-1", "production", "fn-eu"),
    "fn-us": ("us-east-1", "production", "fn-us"),
    "fn-lab": ("eu-central-1", "dev", None),
}
"""Environment -> region, tier, and the code that confirms a write in production."""
REPLICAS = {"prod-eu": 3, "prod-us": 3, "prod-ap": 2}
FRONTS = {
    "llama": FrontConfig(
        "edge/HAProxyBackend/*/edge-llama", {"k8s-eu": "prod-eu", "k8s-us": "prod-us", "gpu": "gpu-eu", "fn": "fn-eu"}
    ),
    "mistral": FrontConfig("edge/HAProxyBackend/*/edge-mistral", {"k8s-eu": "prod-eu", "k8s-us": "prod-us"}),
    "embed": FrontConfig(
        "edge/HAProxyBackend/*/edge-embed", {"k8s-eu": "prod-eu", "k8s-us": "prod-us", "gpu": "gpu-eu"}
    ),
    "guard": FrontConfig("edge/HAProxyBackend/*/edge-guard", {"gpu-eu": "gpu-eu", "gpu-us": "gpu-us"}),
}
ROUTES: Mapping[str, tuple[str, ...]] = {
    "llama": (
        "*/HTTPRoute/inference/llama*",
        "gpu-*/NginxUpstream/*/llama",
        "edge/HAProxyBackend/*/edge-llama",
        "lab/*/lab-1/*llama*",
        "fn-*/LambdaAlias/*/llama-chat:*",
    ),
    "mistral": (
        "*/HTTPRoute/inference/mistral*",
        "gpu-*/NginxUpstream/*/mistral",
        "edge/HAProxyBackend/*/edge-mistral",
        "fn-*/LambdaAlias/*/mistral-chat:*",
    ),
    "embed": (
        "*/HTTPRoute/inference/embed*",
        "gpu-*/NginxUpstream/*/embed",
        "edge/HAProxyBackend/*/edge-embed",
        "fn-*/LambdaAlias/*/embed-text:*",
    ),
    "rerank": (
        "*/HTTPRoute/inference/rerank*",
        "fn-*/LambdaAlias/*/rerank-pairs:*",
    ),
    "vision": (
        "*/HTTPRoute/inference/vision*",
        "fn-*/LambdaAlias/*/vision-caption:*",
    ),
    "whisper": (
        "*/IngressRoute/inference/whisper*",
        "*/TraefikService/inference/whisper*",
        "lab/HAProxyBackend/*/lab-whisper",
        "fn-*/LambdaAlias/*/whisper-batch:*",
    ),
    "guard": ("gpu-*/NginxUpstream/*/guard", "edge/HAProxyBackend/*/edge-guard"),
    "moderation": ("*/HTTPRoute/inference/moderation*",),
    "tts": ("*/IngressRoute/inference/tts*",),
}
TOKENS = {"llama": 900, "mistral": 700}


def deck(folder: Path) -> DeckConfig:
    """The deck, with its own journal in `folder`."""
    return DeckConfig(
        path=None,
        environments=tuple(_environment(name) for name in PLACES),
        services=tuple(_service(name) for name in ROUTES),
        guards=GUARDS,
        journal=folder / "journal.db",
    )


COLORS = {"prod-eu": "#f2a33c", "prod-us": "#6cb6ff", "prod-ap": "#d3a3ff"}
BANNERS = {"prod-eu": "customers of the EU: #inference-oncall knows before anything big moves"}


def replicas(environment: str) -> int:
    """How many Traefik processes a cluster runs."""
    return REPLICAS.get(environment, 1)


def traefik_url(environment: str, number: int) -> str:
    """Where one Traefik of a cluster answers; a name that leads nowhere outside the fleet."""
    return f"http://traefik-{number}.{environment}.invalid:8080"


def _environment(name: str) -> EnvironmentConfig:
    region, tier, code = PLACES[name]
    production = tier == "production"
    section, settings = _section(name)
    return EnvironmentConfig(
        name=name,
        section=section,
        settings=settings,
        labels={"region": region, "tier": tier},
        production=production,
        code=code,
        color=COLORS.get(name),
        banner=BANNERS.get(name, ""),
        proxies=_proxies(name),
        guards=GUARDS,
    )


def _section(name: str) -> tuple[DeckSection, object]:
    if name in CLUSTERS:
        return kubernetes.SECTION, kubernetes.KubernetesConfig(context=name)
    if name in GROUPS:
        return ssh.SECTION, ssh.SshConfig(hosts=GROUPS[name].hosts)
    return aws.SECTION, aws.AwsConfig(REGIONS[name][0], profile="ml")


def _proxies(name: str) -> tuple[kubernetes.ProxyConfig | ssh.ProxyConfig, ...]:
    if name in CLUSTERS:
        urls = [traefik_url(name, number) for number in range(1, replicas(name) + 1)]
        return tuple(kubernetes.ProxyConfig("traefik", api=url, metrics=f"{url}/metrics") for url in urls)
    if name not in GROUPS:
        return ()
    proxies = []
    if GROUPS[name].nginx:
        proxies.append(ssh.ProxyConfig("nginx", config=NGINX_MAIN, access_log=NGINX_LOG))
    if GROUPS[name].haproxy:
        proxies.append(ssh.ProxyConfig("haproxy", config=HAPROXY_MAIN, socket=HAPROXY_SOCKET))
    return tuple(proxies)


def _service(name: str) -> ServiceConfig:
    return ServiceConfig(name, ROUTES[name], FRONTS.get(name), TOKENS.get(name))
