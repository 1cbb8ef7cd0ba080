"""AWS without AWS: MiniStack for what writes (Lambda, STS), moto for what only reads, a recording proxy before both."""

from __future__ import annotations

import io
import json
import shutil
import sys
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

from tests.bed import build
from tests.bed.errors import BedError
from tests.bed.layout import AWS_PORT, Layout
from tests.bed.processes import Ledger
from tests.bed.waiting import until_port

REGION = "eu-central-1"
FUNCTION, ALIAS = "chat", "live"
VERSIONS = 3
WEIGHTS = {"2": 0.9, "3": 0.1}
"""The alias at first: version 2 with a tenth on version 3."""
DRIVEN_FUNCTION = "chat-batch"
RESERVED = {FUNCTION: 50}
SETUP_KEY = "bed"
"""The access key of the bed itself; the deck's own is another, so that the write log tells them apart."""
_MINISTACK_PINS = Path(__file__).parents[2] / "requirements" / "ministack.txt"


def ministack_python() -> Path:
    """The interpreter of MiniStack's own environment, made if need be: it pins a botocore older than the product's."""
    home = build.cache_folder() / "ministack"
    python = home / "bin" / "python"
    if (home / "bin" / "ministack").exists():
        return python
    with build.locked("ministack"):
        if not (home / "bin" / "ministack").exists():
            build.say("setting up MiniStack, once")
            build.make_environment(home, ["--require-hashes", "-r", str(_MINISTACK_PINS)])
    return python


def endpoint(layout: Layout) -> str:
    return f"http://{layout.aws}:{AWS_PORT}"


def endpoints(layout: Layout) -> dict[str, str]:
    """What the deck file's `endpoints` says."""
    return dict.fromkeys(("lambda", "sts", "codedeploy", "cloudwatch"), endpoint(layout))


def start(layout: Layout, ledger: Ledger) -> None:
    """Start both emulators and the proxy; does not wait."""
    scratch = layout.dir / "aws"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    python = ministack_python()
    settings = {"BIND_HOST": layout.ministack, "GATEWAY_PORT": str(AWS_PORT), "TMPDIR": str(scratch)}
    ledger.start("ministack", [str(python.parent / "ministack")], env=settings, cwd=scratch)
    moto = Path(sys.executable).parent / "moto_server"
    if not moto.exists():
        raise BedError("no moto_server beside this Python: install the test dependencies")
    ledger.start("moto", [str(moto), "-H", layout.moto, "-p", str(AWS_PORT)], cwd=scratch)
    to_moto = f"{layout.moto}:{AWS_PORT}"
    routes = {"": f"{layout.ministack}:{AWS_PORT}", "codedeploy": to_moto, "monitoring": to_moto, "tagging": to_moto}
    argv = [sys.executable, "-m", "tests.bed.awsproxy", layout.aws, str(AWS_PORT)]
    ledger.start("aws", [*argv, str(layout.write_log("aws")), json.dumps(routes)])


def fill(layout: Layout, ledger: Ledger) -> None:
    """Wait for the emulators and put the functions, the deployment and the synthetic figures there."""
    for address in (layout.ministack, layout.moto, layout.aws):
        until_port(address, AWS_PORT, seconds=30)
    functions = _client("lambda", layout.ministack)
    _function(functions, FUNCTION, VERSIONS)
    functions.create_alias(
        FunctionName=FUNCTION,
        Name=ALIAS,
        FunctionVersion="2",
        RoutingConfig={"AdditionalVersionWeights": {"3": WEIGHTS["3"]}},
    )
    functions.create_alias(FunctionName=FUNCTION, Name="pinned", FunctionVersion="1")
    for name, amount in RESERVED.items():
        functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=amount)
    _function(functions, DRIVEN_FUNCTION, 2)
    functions.create_alias(FunctionName=DRIVEN_FUNCTION, Name=ALIAS, FunctionVersion="1")
    _drive(layout)
    figures = [f"{layout.moto}:{AWS_PORT}", f"{layout.ministack}:{AWS_PORT}"]
    ledger.start("figures", [sys.executable, "-m", "tests.bed.figures", *figures])


def control(layout: Layout, what: str, content: dict[str, Any]) -> None:
    """Tell the recording proxy something: `faults` or `targets` (see `awsproxy`)."""
    request = urllib.request.Request(f"{endpoint(layout)}/_bed/{what}", json.dumps(content).encode(), method="PUT")
    with urllib.request.urlopen(request, timeout=5) as answer:
        answer.read()


def _client(service: str, address: str) -> Any:
    import boto3
    from botocore.config import Config

    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=f"http://{address}:{AWS_PORT}",
        region_name=REGION,
        aws_access_key_id=SETUP_KEY,
        aws_secret_access_key=SETUP_KEY,
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20),
    )


def _code(version: int) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("app.py", f"def handler(event, context):\n    return {{'version': {version}}}\n")
    return content.getvalue()


def _function(functions: Any, name: str, versions: int) -> None:
    """One function with so many published versions. Its code is never run."""
    functions.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role="arn:aws:iam::000000000000:role/chat",
        Handler="app.handler",
        Code={"ZipFile": _code(1)},
        Tags={"traffic-deck-bed": "figures are synthetic"},
    )
    for version in range(1, versions + 1):
        if version > 1:
            functions.update_function_code(FunctionName=name, ZipFile=_code(version))
        published = functions.publish_version(FunctionName=name, Description=f"release {version}")["Version"]
        if published != str(version):
            raise BedError(f"the emulator published version {published} of {name} where {version} was due")


def _drive(layout: Layout) -> None:
    """A CodeDeploy deployment that is under way and moves the alias of the driven function."""
    deploy = _client("codedeploy", layout.moto)
    deploy.create_application(applicationName=DRIVEN_FUNCTION, computePlatform="Lambda")
    deploy.create_deployment_group(
        applicationName=DRIVEN_FUNCTION,
        deploymentGroupName=DRIVEN_FUNCTION,
        serviceRoleArn="arn:aws:iam::000000000000:role/deploy",
    )
    made = deploy.create_deployment(
        applicationName=DRIVEN_FUNCTION,
        deploymentGroupName=DRIVEN_FUNCTION,
        revision={"revisionType": "AppSpecContent", "appSpecContent": {"content": "{}"}},
    )
    control(layout, "targets", {made["deploymentId"]: {"function": DRIVEN_FUNCTION, "alias": ALIAS}})
