"""The registry: lazy, complete, and not hurt by a third party's broken adapter."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from adapters import registry
from control.contract.schemas import schema
from control.deck.reading import parse_deck
from control.deck.sections import TEXT, TEXTS, DeckSection, closed
from control.deck.yamlcheck import Part
from control.errors import DeckError
from control.fleet.inventory import environment_view
from control.ports import PlatformAdapter

HEAVY = ("boto3", "botocore", "paramiko", "httpx", "kubernetes", "textual")


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30).stdout


def test_importing_the_registry_imports_no_platform() -> None:
    code = "import sys, adapters.registry; print(*[m for m in sys.modules if m.startswith('adapters.')])"
    assert run(code).split() == ["adapters.registry"]


def test_asking_for_platforms_imports_nothing_heavy() -> None:
    code = f"""
import sys, adapters.registry as registry
from control.deck.config import EnvironmentConfig
from adapters.serverless.aws.section import SECTION, AwsConfig
from control.ports import Secrets
registry.open_reader(EnvironmentConfig("fn", SECTION, AwsConfig("eu-central-1")), Secrets(lambda a, b: None))
print(*[m for m in {HEAVY} if m in sys.modules])
"""
    assert run(code).split() == []


def test_platforms_and_kinds() -> None:
    registry.platforms.cache_clear()
    found = registry.platforms()
    assert {"kubernetes", "ssh", "aws"} <= set(found)
    assert all(adapter.section.key == section for section, adapter in found.items())
    assert {"HTTPRoute", "NginxUpstream", "HAProxyBackend", "LambdaAlias", "LambdaConcurrency"} <= set(registry.kinds())


THIRD_PARTY = PlatformAdapter(
    DeckSection("cloudrun", "serverless"), {"CloudRunService": "traffic of a service"}, None, None
)  # type: ignore[arg-type]
NOT_ONE = object()


def entries(monkeypatch: pytest.MonkeyPatch, *pairs: tuple[str, str]) -> None:
    made = [EntryPoint(name, value, registry.GROUP) for name, value in pairs]
    monkeypatch.setattr(registry, "entry_points", lambda group: made if group == registry.GROUP else [])
    registry.platforms.cache_clear()


def test_a_third_party_adds_a_section(monkeypatch: pytest.MonkeyPatch) -> None:
    entries(monkeypatch, ("cloudrun", f"{__name__}:THIRD_PARTY"))
    assert registry.platforms()["cloudrun"] is THIRD_PARTY
    registry.platforms.cache_clear()


def _zones(part: Part) -> tuple[str, ...]:
    if not part.values["zones"]:
        raise part.error("no zone is named", "name one", "zones")
    return tuple(part.values["zones"])


DECLARED = PlatformAdapter(
    DeckSection(
        "cdn",
        "edge",
        closed({"zones": TEXTS}, "zones"),
        _zones,
        proxy_kinds=("varnish",),
        proxy_keys={"admin": TEXT},
        parse_proxy=lambda part: part.values["admin"],
        is_group=lambda zones: len(zones) > 1,
        measure_seconds=7.0,
    ),
    {"EdgeRule": "where a zone sends its requests"},
    None,  # type: ignore[arg-type]
    None,  # type: ignore[arg-type]
    lambda home: [{"zone": home.name}],
)


def test_a_third_partys_declarations_are_all_that_its_platform_needs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    entries(monkeypatch, ("cdn", f"{__name__}:DECLARED"))
    try:
        text = "environments:\n  - name: far\n    cdn: {zones: [a, b]}\n    proxies: [{kind: varnish, admin: x}]\n"
        deck = parse_deck(text, Path("deck.yaml"), registry.sections())
        [far] = deck.environments
        assert (far.settings, far.proxies, far.is_group) == (("a", "b"), ("x",), True)
        assert (far.section.platform, deck.section("far").measure_seconds) == ("edge", 7.0)
        assert environment_view(far, None).environment.platform == "edge"
        with pytest.raises(DeckError, match=r"deck\.yaml:3: no zone is named"):
            parse_deck(text.replace("[a, b]", "[]"), Path("deck.yaml"), registry.sections())
        with pytest.raises(DeckError, match="'kind' cannot be 'squid'"):
            parse_deck(text.replace("varnish", "squid"), Path("deck.yaml"), registry.sections())
        assert "edge" in schema("route", registry.sections())["properties"]["platform"]["enum"]
        assert "cdn" in schema("deck", registry.sections())["properties"]["environments"]["items"]["properties"]
        assert registry.find(tmp_path)["cdn"] == [{"zone": tmp_path.name}] and "EdgeRule" in registry.kinds()
    finally:
        registry.platforms.cache_clear()


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("no_such_module_anywhere:ADAPTER", "ModuleNotFoundError"),
        (f"{__name__}:NOT_ONE", "not a PlatformAdapter"),
        ("adapters.serverless.aws.adapter:ADAPTER", "taken"),
    ],
)
def test_a_broken_third_party_is_named_and_left_out(monkeypatch: pytest.MonkeyPatch, value: str, says: str) -> None:
    entries(monkeypatch, ("broken\x1b[31m", value))
    with pytest.warns(RuntimeWarning, match=says) as caught:
        found = registry.platforms()
    assert "\x1b" not in str(caught[0].message)
    assert set(found) == {"kubernetes", "ssh", "aws"}
    registry.platforms.cache_clear()
