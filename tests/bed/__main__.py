"""`python -m tests.bed up|down|traffic|aws --dir DIR`."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from tests.bed import aws, traffic
from tests.bed.errors import BedError
from tests.bed.fleet import Fleet, finish_from_outside
from tests.bed.layout import Layout
from tests.bed.processes import Ledger

READY_SECONDS = 120.0
ROOT = Path(__file__).resolve().parents[2]


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m tests.bed", description="Real platforms on loopback.")
    commands = top.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start the fleet and stay in the foreground")
    up.add_argument("--detach", action="store_true", help="return once it is ready")
    up.add_argument("--with", dest="planes", default="", metavar="NAMES", help="planes beyond the core, with commas")
    down = commands.add_parser("down", help="end exactly what `up` started")
    switch = commands.add_parser("traffic", help="pause or resume the bed's own traffic")
    switch.add_argument("what", choices=["pause", "resume"])
    faults = commands.add_parser("aws", help="make the AWS emulators misbehave")
    faults.add_argument("--throttle", type=int, metavar="N", help="refuse more than N calls a second; 0: no more")
    faults.add_argument("--fail-after-apply", type=int, metavar="N", help="apply the next N writes, answer 500")
    for command in (up, down, switch, faults):
        command.add_argument("--dir", type=Path, required=True)
    return top


def up(folder: Path, planes: tuple[str, ...]) -> int:
    """Start the fleet, say `ready`, stay until SIGINT or SIGTERM, take it down."""
    stopping: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    started = time.monotonic()
    fleet = Fleet(folder, planes)
    try:
        fleet.up()
        print(f"up in {time.monotonic() - started:.1f} s: {folder}/deck.yaml", file=sys.stderr, flush=True)
        print("ready", flush=True)
        fleet.watch(lambda: bool(stopping))
    finally:
        fleet.down()
    return 0


def up_detached(folder: Path, planes: tuple[str, ...]) -> int:
    """Start `up` in a session of its own and return once it is ready."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder.with_name(folder.name + ".up.log")
    with log.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.bed", "up", "--dir", str(folder), "--with", ",".join(planes)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=ROOT,
        )
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        said = log.read_text()
        if "ready" in said.splitlines():
            print("ready", flush=True)
            return 0
        if child.poll() is not None:
            raise BedError(f"the bed did not come up: {said.strip()}")
        time.sleep(0.1)
    child.terminate()
    raise BedError(f"the bed was not ready after {READY_SECONDS:.0f} s; see {log}")


def change_aws(folder: Path, throttle: int | None, fail_after_apply: int | None) -> None:
    """Ask the recording proxy for faults."""
    wanted: dict[str, int | None] = {}
    if throttle is not None:
        wanted["throttle"] = throttle or None
    if fail_after_apply is not None:
        wanted["fail_after_apply"] = fail_after_apply
    aws.control(Layout(folder, int((folder / "block").read_text())), "faults", wanted)


def main() -> int:
    options = parser().parse_args()
    folder = options.dir.resolve()
    try:
        if options.command == "up":
            planes = tuple(name for name in options.planes.split(",") if name)
            return up_detached(folder, planes) if options.detach else up(folder, planes)
        if options.command == "down":
            finish_from_outside(Ledger(folder))
        elif not (folder / "bed.json").exists():
            raise BedError(f"no bed is ready in {folder}")
        elif options.command == "traffic":
            traffic.switch(folder, options.what)
        else:
            change_aws(folder, options.throttle, options.fail_after_apply)
    except BedError as error:
        print(f"test bed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
