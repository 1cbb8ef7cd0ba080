"""Generated servers with ways between their places: the limits that requests meet, and where they end, are shown."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from localproxy import Backends, free_port, get
from nginxhost import on, rows, started

from control.model import Mode

PLACES, NAMED = 6, 3
POOLS = "abc"


@dataclass(frozen=True)
class Made:
    """A generated configuration with the paths to ask for, and its zones."""

    text: str
    paths: list[str]
    zones: list[str]


def made(seed: int) -> Made:
    """Locations that pass, answer, or lead to later ones; each with a zone of its own, the server's, or both."""
    draw = random.Random(seed)
    zones: list[str] = []

    def limits(chance: float) -> str:
        if draw.random() > chance:
            return ""
        zones.append(f"z{len(zones)}")
        return f"limit_req zone={zones[-1]}; "

    def passed() -> str:
        return f"proxy_pass http://{draw.choice(POOLS)};"

    def to(number: int) -> str:
        """A later place: one by path, or a named one."""
        if number + 1 < PLACES and draw.random() < 0.4:
            return f"/p{draw.randrange(number + 1, PLACES)}/x"
        return f"@n{draw.randrange(NAMED)}"

    def path_of(number: int) -> str | None:
        return f"/p{draw.randrange(number + 1, PLACES)}/x" if number + 1 < PLACES else None

    lines = [limits(0.5)]
    for number in range(PLACES):
        own = limits(0.6)
        later = path_of(number)
        ways = [
            passed(),
            f"try_files /none {to(number)};",
            f"error_page 502 = {to(number)}; proxy_pass http://dead;",
            f"error_page 418 = @n{draw.randrange(NAMED)}; return 418;",
            "return 204;",
        ]
        if later is not None:
            ways += [f"rewrite ^ {later} last;", f"rewrite /m$ {later} last; {passed()}"]
        way, inner = draw.choice(ways), ""
        if "502" not in way and draw.random() < 0.4:  # it would inherit an error page for a pool that never fails here
            inner = f" location /p{number}/in {{ {limits(0.5)}{passed()} }}"
        modifier = draw.choice(["", "^~ "])
        lines.append(f"location {modifier}/p{number}/ {{ {own}{way}{inner} }}")
    for number in range(NAMED):
        ways = [passed(), passed()]
        if number + 1 < NAMED:
            ways.append(f"try_files /none @n{draw.randrange(number + 1, NAMED)};")
        lines.append(f"location @n{number} {{ {limits(0.7)}{draw.choice(ways)} }}")
    # Only an answer of a server could send a request to a named place that nothing in the file leads to.
    for number in range(NAMED):
        if not any(f"@n{number};" in line for line in lines):
            lines = [line for line in lines if not line.startswith(f"location @n{number} ")]
    zones = [zone for zone in zones if any(f"zone={zone};" in line for line in lines)]
    head = [f"limit_req_zone $http_x_client zone={zone}:1m rate=1r/m;" for zone in zones]
    head += [f"upstream {name} {{ server 127.0.0.1:@{name.upper()}@; }}" for name in POOLS]
    head.append("upstream dead { server 127.0.0.1:@DEAD@; }")
    server = "server { listen 127.0.0.1:@PORT@; server_name llama.test; root @FOLDER@;"
    paths = [f"/p{n}/{end}" for n in range(PLACES) for end in ("x", "m", "in/x")] + ["/other"]
    return Made("\n".join([*head, server, *lines, "}"]), paths, zones)


@pytest.mark.parametrize("seed", range(12))
async def test_what_requests_meet_is_what_is_shown(seed: int, tmp_path: Path, backends: Backends) -> None:
    made_one = made(seed)
    ports = {name: backends.port(name) for name in POOLS}
    host = started(tmp_path, made_one.text, dead=free_port(), **ports)
    met: dict[str, set[str]] = {}
    try:
        for path in made_one.paths:
            client = f"X-Client: {path}\r\n"
            _, backend = await get(host.port, path, client)
            status, _ = await get(host.port, path, client)
            if status == 429:
                said = re.findall(r'by zone "(\w+)"', (tmp_path / "error.log").read_text())
                met.setdefault(said[-1], set()).add(backend)
        _, limits = await rows(host)
    finally:
        host.stop()
    shown = {zone for zone in made_one.zones if limits[zone].mode is Mode.ENFORCED}
    assert shown == set(met), made_one.text
    for zone, backends_met in met.items():
        routes = {name for name in on(limits[zone]) if " " not in name} - {"dead"}
        assert routes == backends_met - {""}, f"{zone} of\n{made_one.text}"
