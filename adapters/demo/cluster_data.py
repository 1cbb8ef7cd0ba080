"""The demo fleet's clusters: which models run where, with which weights, limits and demand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

NAMESPACE = "inference"
GATEWAY = "public"
GATEWAY_NAMESPACE = "gateway-system"
PORT = 8000


@dataclass(frozen=True, slots=True)
class Model:
    """One model of a cluster. `backends` are Services with weights; `keyed` is (average, burst) for each API key."""

    name: str
    backends: Mapping[str, int]
    rps: float
    keyed: tuple[int, int] | None = None
    inflight: int | None = None
    shape: str = "HTTPRoute"
    """`HTTPRoute`, `split` (an IngressRoute to a TraefikService) or `inline` (an IngressRoute with weights)."""
    rules: tuple[str, ...] = ("chat",)
    argo: bool = False
    helm: str = ""
    sick: tuple[str, ...] = field(default=())
    """Backends none of whose pods is ready."""


CLUSTERS: Mapping[str, tuple[Model, ...]] = {
    "prod-eu": (
        Model("llama", {"llama-v3": 90, "llama-v4": 10}, 96, (50, 100), 400, rules=("chat", "completions")),
        Model("mistral", {"mistral-a": 70, "mistral-b": 30}, 38, (40, 80), 200, argo=True),
        Model("embed", {"embed-a": 1, "embed-b": 1}, 140, (200, 400), 600, rules=("embeddings",)),
        Model("rerank", {"rerank": 100, "rerank-next": 0}, 22, (25, 50), 80, rules=("rerank",), helm="rerank"),
        Model("vision", {"vision-v1": 95, "vision-v2": 5}, 14, (10, 20), 60, sick=("vision-v2",)),
        Model("moderation", {"moderation": 1}, 70, (100, 100), 300, rules=("moderations",)),
        Model("whisper", {"whisper-large": 3, "whisper-turbo": 1}, 17, (6, 12), 16, shape="split"),
        Model("tts", {"tts-a": 4, "tts-b": 1}, 6, (5, 10), 20, shape="inline"),
    ),
    "prod-us": (
        Model("llama", {"llama-v3": 80, "llama-v4": 20}, 81, (50, 100), 400, rules=("chat", "completions")),
        Model("mistral", {"mistral-a": 50, "mistral-b": 50}, 29, (40, 80), 200),
        Model("embed", {"embed-a": 1, "embed-b": 1}, 110, (200, 400), 600, rules=("embeddings",)),
        Model("rerank", {"rerank": 100}, 16, (25, 50), 80, rules=("rerank",), helm="rerank"),
        Model("vision", {"vision-v1": 100, "vision-v2": 0}, 9, (10, 20), 60),
        Model("moderation", {"moderation": 1}, 52, (100, 100), 300, rules=("moderations",)),
        Model("whisper", {"whisper-large": 1, "whisper-turbo": 1}, 12, (6, 12), 48, shape="split"),
    ),
    "prod-ap": (
        Model("llama", {"llama-v3": 100, "llama-v4": 0}, 44, (50, 100), 200, rules=("chat", "completions")),
        Model("mistral", {"mistral-a": 100, "mistral-b": 0}, 15, (40, 80), 100),
        Model("embed", {"embed-a": 1, "embed-b": 1}, 61, (200, 400), 300, rules=("embeddings",)),
        Model("whisper", {"whisper-large": 1}, 7, (6, 12), 24, shape="split"),
    ),
    "staging": (
        Model("llama", {"llama-v3": 50, "llama-v4": 50}, 4, (50, 100), 60, rules=("chat", "completions")),
        Model("mistral", {"mistral-a": 1, "mistral-b": 1}, 2, (40, 80), 40),
        Model("vision", {"vision-v1": 20, "vision-v2": 80}, 1.5, (10, 20), 20),
        Model("moderation", {"moderation": 1}, 1, (100, 100), 40, rules=("moderations",)),
        Model("whisper", {"whisper-large": 1, "whisper-turbo": 9}, 1, (6, 12), 12, shape="split"),
    ),
    "dev": (
        Model("llama", {"llama-v4": 1, "llama-v5": 1}, 0.7, (50, 100), 20),
        Model("embed", {"embed-b": 9, "embed-c": 1}, 0.4, (200, 400), rules=("embeddings",)),
        Model("vision", {"vision-v2": 1, "vision-v3": 1}, 0.3, (10, 20)),
    ),
}


def keys_name(model: Model) -> str:
    """The Middleware that limits each API key."""
    return f"{model.name}-per-key"


def inflight_name(model: Model) -> str:
    """The Middleware that limits requests in flight."""
    return f"{model.name}-inflight"
