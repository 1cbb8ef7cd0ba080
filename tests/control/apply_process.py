"""A process of its own that applies a saved plan to file-backed platforms. Usage: FOLDER PLAN [gate].

With `gate` it prints each stage and waits for a line on stdin, so that it can be killed there.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from worlds import file_world

from control.contract.plans import read_plan, result_to_json
from control.planning.plan import Plan, Progress


async def main(folder: Path, plan: Plan, gated: bool) -> None:
    async def gate(progress: Progress) -> None:
        print(json.dumps({"stage": progress.stage, "step": progress.step}), flush=True)
        await asyncio.to_thread(sys.stdin.readline)

    result = await file_world(folder, fill=False).plane.apply(plan, progress=gate if gated else None)
    print(json.dumps(result_to_json(result)), flush=True)


saved = read_plan(Path(sys.argv[2]).read_text(), sys.argv[2])
asyncio.run(main(Path(sys.argv[1]), saved, "gate" in sys.argv[3:]))
