"""Synthetic CloudWatch figures: a steady number of invocations of one alias a minute, split as the alias says.

Nothing is measured here: no emulator routes invocations by weight. `python -m tests.bed.figures MOTO MINISTACK`.
"""

from __future__ import annotations

import json
import random
import sys
import time
import urllib.request
from urllib.parse import urlencode

from tests.bed.aws import ALIAS, FUNCTION, REGION, SETUP_KEY

PER_MINUTE = 240
BACKFILL_MINUTES = 6
ERROR_RATIO = 0.005
TIMEOUT_SECONDS = 5.0


def signed_for(service: str) -> dict[str, str]:
    """A header by which an emulator knows the service; emulators do not check signatures."""
    scope = f"{SETUP_KEY}/20200101/{REGION}/{service}/aws4_request"
    return {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}


def weights(ministack: str) -> dict[str, float]:
    """Version -> share of the alias, as it stands now."""
    url = f"http://{ministack}/2015-03-31/functions/{FUNCTION}/aliases/{ALIAS}"
    request = urllib.request.Request(url, headers=signed_for("lambda"))
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
        alias = json.loads(answer.read())
    added = {
        version: float(w)
        for version, w in (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights", {}).items()
    }
    return {alias["FunctionVersion"]: 1.0 - sum(added.values()), **added}


def draw(shares: dict[str, float], chance: random.Random) -> dict[str, int]:
    """How many of one minute's invocations each version had."""
    names = list(shares)
    drawn = chance.choices(names, [shares[name] for name in names], k=PER_MINUTE)
    return {name: drawn.count(name) for name in names}


def data_of(counts: dict[str, int], at: int) -> list[tuple[str, dict[str, str], float, int]]:
    """(metric, dimensions, value, minute) of one minute."""
    whole = {"FunctionName": FUNCTION, "Resource": f"{FUNCTION}:{ALIAS}"}
    errors = {name: round(count * ERROR_RATIO) for name, count in counts.items()}
    found = [
        ("Invocations", whole, float(sum(counts.values())), at),
        ("Errors", whole, float(sum(errors.values())), at),
        ("Throttles", whole, 0.0, at),
        ("Throttles", {"FunctionName": FUNCTION}, 0.0, at),
        ("ConcurrentExecutions", {"FunctionName": FUNCTION}, 7.0, at),
    ]
    for name, count in counts.items():
        part = {**whole, "ExecutedVersion": name}
        found += [("Invocations", part, float(count), at), ("Errors", part, float(errors[name]), at)]
    return found


def put(moto: str, data: list[tuple[str, dict[str, str], float, int]]) -> None:
    """One PutMetricData in CloudWatch's query protocol."""
    fields = {"Action": "PutMetricData", "Version": "2010-08-01", "Namespace": "AWS/Lambda"}
    for number, (metric, dimensions, value, at) in enumerate(data, 1):
        member = f"MetricData.member.{number}"
        fields[f"{member}.MetricName"] = metric
        fields[f"{member}.Value"] = str(value)
        fields[f"{member}.Timestamp"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
        for place, (name, content) in enumerate(dimensions.items(), 1):
            fields[f"{member}.Dimensions.member.{place}.Name"] = name
            fields[f"{member}.Dimensions.member.{place}.Value"] = content
    headers = signed_for("monitoring") | {"Content-Type": "application/x-www-form-urlencoded"}
    request = urllib.request.Request(f"http://{moto}/", urlencode(fields).encode(), headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
        answer.read()


def run(moto: str, ministack: str) -> None:
    chance = random.Random(1)
    minute = int(time.time()) // 60 - BACKFILL_MINUTES
    while True:
        try:
            while minute < int(time.time()) // 60:
                put(moto, data_of(draw(weights(ministack), chance), minute * 60))
                minute += 1
        except OSError as error:
            print(f"figures: {error}", flush=True)
        time.sleep(5)


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2])
