"""Does AWS hold what a step wrote? Reading back is the best truth there is of Lambda's data plane."""

from __future__ import annotations

from adapters.serverless.aws import alias as alias_codec
from adapters.serverless.aws import fetch
from adapters.serverless.aws.alias import AliasWrite
from adapters.serverless.aws.cloud import Cloud
from adapters.serverless.aws.concurrency import ConcurrencyWrite
from control.errors import ControlError
from control.model.ref import Ref
from control.ports import Prepared, ProofPart, ProofState

NOTHING_NEARER = "Lambda shows nothing nearer to its data plane"


async def loaded(cloud: Cloud, step: Prepared) -> ProofPart:
    """One look. Raises `Unreachable` where there is no answer."""
    write = step.payload
    if isinstance(write, AliasWrite):
        return await _alias(cloud, write)
    if isinstance(write, ConcurrencyWrite):
        held = await fetch.reserved(cloud, write.function)
        if held == write.after:
            return ProofPart(ProofState.YES, f"GetFunctionConcurrency holds it; {NOTHING_NEARER}")
        return ProofPart(ProofState.NO, f"reserved concurrency is {'none' if held is None else held}")
    return ProofPart(ProofState.UNKNOWN, "not a step of this platform")


async def running(cloud: Cloud, ref: Ref) -> ProofPart:
    """What AWS holds is what it runs, but for provisioned capacity that still moves. Raises `Unreachable`."""
    if ref.kind != alias_codec.KIND:
        await fetch.reserved(cloud, ref.name)
        return ProofPart(ProofState.YES, f"GetFunctionConcurrency holds it; {NOTHING_NEARER}")
    function, name = alias_codec.split_name(ref.name)
    held = await fetch.alias(cloud, function, name)
    return await _alias(cloud, AliasWrite(function, name, held, held.revision))


async def _alias(cloud: Cloud, write: AliasWrite) -> ProofPart:
    held = await fetch.alias(cloud, write.function, write.alias)
    provisioned = await _provisioned(cloud, write)
    if held.version == write.after.version and dict(held.weights) == dict(write.after.weights):
        return provisioned or ProofPart(ProofState.YES, f"GetAlias holds it; {NOTHING_NEARER}")
    if provisioned is not None and held.version == write.after.version:
        return ProofPart(ProofState.PENDING, "AWS is moving provisioned capacity, with weights of its own meanwhile")
    shares = ", ".join(f"{version}: {float(share * 100):g} %" for version, share in held.shares.items())
    return ProofPart(ProofState.NO, f"the alias holds {shares}")


async def _provisioned(cloud: Cloud, write: AliasWrite) -> ProofPart | None:
    """What still moves behind the alias, or None where nothing does."""
    try:
        items = await fetch.provisioned(cloud, write.function)
    except ControlError:
        return None
    for item in items:
        if item.qualifier != write.alias:
            continue
        if item.status == "IN_PROGRESS":
            return ProofPart(ProofState.PENDING, "AWS is moving provisioned capacity")
        if item.status == "FAILED":
            return ProofPart(ProofState.NO, f"provisioned concurrency failed: {item.reason}")
    return None
