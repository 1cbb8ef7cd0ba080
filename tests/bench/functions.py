"""500 Lambda aliases read from an emulator, against the aws command line."""

from __future__ import annotations

import io
import json
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.bed import aws as bed_aws
from tests.bed.waiting import until_port
from tests.bench import rivals
from tests.bench.context import Context
from tests.bench.measure import Row, Section, milliseconds, seconds_of

FUNCTIONS = 500
REGION = "eu-central-1"
RATE = "10000"
ANSWERED = 9
METHOD = (
    f"{FUNCTIONS} functions with one alias each on MiniStack. Ours, a process of its own, lists the functions, asks "
    f"each for its aliases and its concurrency. TRAFFICDECK_LAMBDA_RATE={RATE} lifts our pace, 8 calls a second by "
    "default, because Lambda answers 15 a second whoever asks, so that in a real account the quota decides. Theirs is "
    f"`aws lambda list-aliases` for one function, the median of {ANSWERED}; by call, so that its process starts count "
    f"{FUNCTIONS} times, as they do in a script."
)


def run(context: Context) -> Section:
    section = Section(f"{FUNCTIONS} Lambda aliases", METHOD)
    url = _emulator(context)
    env = _environment(context.folder)
    os.environ.update(env)
    _fill(url)
    given = {"name": "fn", "aws": {"region": REGION, "endpoints": dict.fromkeys(("lambda", "sts", "cloudwatch"), url)}}
    reading = [sys.executable, "-m", "tests.bench.reading", json.dumps(given)]
    _check(reading)
    aws = str(rivals.aws())
    listing = [aws, "--endpoint-url", url, "--region", REGION, "lambda", "list-aliases", "--function-name"]
    seconds_of(reading), seconds_of([*listing, "model-0000"])
    ours, theirs = [], []
    for run_number in range(3):
        ours.append(seconds_of(reading) / FUNCTIONS)
        first = run_number * (ANSWERED // 3)
        theirs += [seconds_of([*listing, f"model-{n:04}"]) for n in range(first, first + ANSWERED // 3)]
    mine, other = statistics.median(ours), statistics.median(theirs)
    row = Row("per alias", milliseconds(mine), milliseconds(other), f"{other / mine:.0f}x", "faster", mine < other)
    section.rows.append(row)
    section.rows.append(Row(f"all {FUNCTIONS}", milliseconds(mine * FUNCTIONS), "", "", "", None))
    return section


def _environment(folder: Path) -> dict[str, str]:
    """No credentials of a real account can be found."""
    return {
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_CONFIG_FILE": str(folder / "no-aws-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "no-aws-credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
        "TRAFFICDECK_LAMBDA_RATE": RATE,
    }


def _emulator(context: Context) -> str:
    folder = context.folder / "ministack"
    folder.mkdir()
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    python = bed_aws.ministack_python()
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([str(python), "-m", "ministack"], env=env, stdout=log, stderr=log, cwd=folder)
    context.stack.callback(_end, process)
    until_port("127.0.0.1", port, seconds=30)
    url = f"http://127.0.0.1:{port}"
    end = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(f"{url}/_ministack/health", timeout=2):
                return url
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


def _fill(url: str) -> None:
    import boto3

    client: Any = boto3.client("lambda", region_name=REGION, endpoint_url=url)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("app.py", "def handler(event, context):\n    return 1\n")

    def make(number: int) -> None:
        name = f"model-{number:04}"
        role = "arn:aws:iam::000000000000:role/model"
        code = {"ZipFile": packed.getvalue()}
        client.create_function(
            FunctionName=name, Runtime="python3.12", Role=role, Handler="app.handler", Code=code, Publish=True
        )
        client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(FUNCTIONS)))


def _check(reading: list[str]) -> None:
    """Both must have read what is there."""
    done = subprocess.run(reading, capture_output=True, timeout=120, check=True)
    found = json.loads(done.stdout)[0]["routes"]
    if found != FUNCTIONS:
        raise RuntimeError(f"{found} aliases were read where there are {FUNCTIONS}")
