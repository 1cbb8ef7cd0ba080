"""The demo fleet's Lambda functions: aliases, reservations and demand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

STACK = {"aws:cloudformation:stack-name": "inference-functions"}


@dataclass(frozen=True, slots=True)
class Split:
    """One alias: main version, additional version and its weight, and its demand in requests per second."""

    function: str
    alias: str
    main: str
    weights: Mapping[str, float]
    rps: float
    versions: int
    reserved: int | None = None


REGIONS: Mapping[str, tuple[str, tuple[Split, ...]]] = {
    "fn-eu": (
        "eu-central-1",
        (
            Split("llama-chat", "live", "17", {"18": 0.1}, 42.0, 18, 300),
            Split("llama-chat", "canary", "18", {}, 0.4, 18, 300),
            Split("mistral-chat", "live", "9", {"10": 0.25}, 18.0, 10, 120),
            Split("embed-text", "live", "31", {}, 65.0, 31),
            Split("rerank-pairs", "live", "6", {"7": 0.5}, 11.0, 7, 60),
            Split("whisper-batch", "live", "12", {}, 0.0, 12, 0),
        ),
    ),
    "fn-us": (
        "us-east-1",
        (
            Split("llama-chat", "live", "17", {}, 23.0, 18, 200),
            Split("embed-text", "live", "30", {"31": 0.3}, 38.0, 31, 150),
            Split("vision-caption", "live", "4", {}, 3.0, 4, 25),
        ),
    ),
    "fn-lab": (
        "eu-central-1",
        (
            Split("llama-chat", "dev", "19", {}, 0.6, 19),
            Split("vision-caption", "dev", "5", {"6": 0.5}, 0.3, 6, 10),
        ),
    ),
}
BITING = ("fn-us", "vision-caption")
"""A reservation that is too small for its demand."""
