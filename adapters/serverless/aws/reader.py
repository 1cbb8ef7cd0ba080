"""Reads one account and region: every alias as a route, every reservation as a limit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from adapters.serverless.aws import alias as alias_codec
from adapters.serverless.aws import concurrency as concurrency_codec
from adapters.serverless.aws import doctor, edited_text, fetch, native, prove
from adapters.serverless.aws.alias import to_route
from adapters.serverless.aws.cloud import Cloud, NotOffered, ServiceError
from adapters.serverless.aws.metrics import Metrics
from adapters.serverless.aws.prepare import FunctionRead, steps
from adapters.serverless.aws.records import Deployment, Function, Place, alias_from
from adapters.serverless.aws.section import PLATFORM, settings_of
from adapters.serverless.aws.sweep import Sweep
from control.deck.config import EnvironmentConfig
from control.errors import AuthError, ControlError, NotFound, Unreachable
from control.model import Access, AccessState, Counted, Environment, Reach, ReachState, Snapshot
from control.model.ref import Ref
from control.planning.edit import Change, Edit
from control.ports import EVERYTHING, Check, Delta, Fetched, NativeText, Prepared, ProofPart
from control.structs import replace

ASK_DEPLOYMENTS_SECONDS = 3.0
UNKNOWN_ACCESS = Access(AccessState.UNKNOWN, "AWS cannot be asked without IAM simulation; a write says")


class LambdaReader:
    """`control.ports.Reader` for AWS Lambda. Has no way to write: its cloud refuses every other operation."""

    def __init__(self, config: EnvironmentConfig, cloud: Cloud, *, read_seconds: float = 12.0) -> None:
        """`read_seconds`: how long one `read` may sweep; functions that do not fit keep their last values and age."""
        self.name = config.name
        self.cloud = cloud
        self._config = config
        self._aws = settings_of(config)
        self._sweep = Sweep(cloud)
        self._read_seconds = read_seconds
        self._metrics = Metrics(cloud)
        self._place = Place(config.name, self._aws.region)
        self._identity = ""
        self._access = UNKNOWN_ACCESS

    # --- read ---------------------------------------------------------------------------------------------------------

    async def read(self, since: Delta | None = None) -> Snapshot:
        """As the port says. Sweeps at the paced rate; what was not reached in time keeps its old age."""
        until = asyncio.get_running_loop().time() + self._read_seconds
        names = await fetch.function_names(self.cloud, self._aws.functions, self._aws.region)
        place, self._identity, (functions, missing) = await asyncio.gather(
            self._look_around(), self._who(), self._sweep.run(names, until)
        )
        self._place = place
        absent = fetch.absent(names, self._aws.functions, self._aws.region)
        return replace(self._snapshot(functions, self._reach(place)), missing=(*absent, *missing))

    def object_of(self, ref: Ref) -> str | None:
        """Rows are named after their objects."""
        ours = ref.environment == self.name and ref.scope == self._aws.region
        return str(ref.whole) if ours and ref.kind in (alias_codec.KIND, concurrency_codec.KIND) else None

    def stands_alone(self, ref: Ref) -> bool:
        """An alias has its function's reservation and versions with it, and nothing else concerns it."""
        return ref.kind == alias_codec.KIND

    async def fetch(self, objects: Sequence[str]) -> list[Fetched]:
        """As the port says; each is an alias or a reservation. Who drives the aliases is asked once for all."""
        refs = [Ref.parse(name) for name in objects]
        self._place, functions = await asyncio.gather(self._look_around(), self._all_fresh(refs))
        return [self._fetched(ref, function) for ref, function in zip(refs, functions, strict=True)]

    async def _all_fresh(self, refs: Sequence[Ref]) -> list[Function]:
        return await asyncio.gather(*(self._fresh(ref) for ref in refs))

    def _fetched(self, ref: Ref, function: Function) -> Fetched:
        place, name = self._place, str(ref)
        routes = tuple(route for one in function.aliases if (route := to_route(place, function, one)).object == name)
        limit = concurrency_codec.to_limit(place, function, self._metrics.uses.get(function.name))
        limits = (limit,) if routes or limit.object == name else ()
        if not limits:
            raise NotFound(f"{name} is gone", ref=name)
        base = next(row.base for rows in (routes, limits) for row in rows)
        return Fetched(name, self.name, base, routes, limits, function.read_at, FunctionRead(place, function))

    def answered(self, object: str, answer: Mapping[str, Any]) -> Fetched | None:
        """An alias or a reservation as the answer to a write has it; None where it does not tell."""
        ref = Ref.parse(object)
        function = self._sweep.functions.get(_function_name(ref))
        if function is None:
            return None
        try:
            if ref.kind == alias_codec.KIND:
                now = alias_from(answer)
                aliases = tuple(now if one.name == now.name else one for one in function.aliases)
                function = replace(function, aliases=aliases, read_at=time.time())
            else:
                reserved = int(answer["ReservedConcurrentExecutions"])
                function = replace(function, reserved=reserved, read_at=time.time())
        except (KeyError, TypeError, ValueError):
            return None
        self._sweep.functions[function.name] = function
        return self._fetched(ref, function)

    def prepare(self, fetched: Sequence[Fetched], changes: Sequence[Change]) -> list[Prepared]:
        """As the port says."""
        return steps(fetched, changes)

    async def native(self, ref: Ref) -> NativeText:
        """The record as JSON, read anew."""
        if ref.kind == alias_codec.KIND:
            function, name = alias_codec.split_name(ref.name)
            text = native.alias_json(await fetch.alias(self.cloud, function, name))
        else:
            text = native.concurrency_json(ref.name, await fetch.reserved(self.cloud, ref.name))
        return NativeText(str(ref.whole), "json", text)

    async def edits_of(self, ref: Ref, original: str, text: str) -> list[Edit]:
        """The edits in an edited JSON; see `adapters.serverless.aws.edited_text`."""
        if ref.kind == alias_codec.KIND:
            return edited_text.alias_edits(ref, original, text)
        return edited_text.concurrency_edits(ref, original, text)

    # --- proof --------------------------------------------------------------------------------------------------------

    async def count(self, refs: Sequence[Ref] | None = None) -> list[Counted]:
        """What CloudWatch counted in the last whole minutes; asked at most once a minute, since each metric costs."""
        wanted = None if refs is None else set(refs)
        known = [
            (alias_codec.ref_of(self._place, function.name, alias.name), function, alias)
            for function in self._sweep.functions.values()
            for alias in function.aliases
        ]
        return await self._metrics.count([item for item in known if wanted is None or item[0] in wanted])

    async def loaded(self, step: Prepared) -> ProofPart:
        """Whether reading back shows what `step` wrote. Nothing nearer to Lambda's data plane can be asked."""
        return await prove.loaded(self.cloud, step)

    async def running(self, object: str, changes: Sequence[Change], recorded: Mapping[str, Any]) -> ProofPart:
        """What is held runs; see `adapters.serverless.aws.prove`."""
        return await prove.running(self.cloud, Ref.parse(object))

    async def access(self) -> Access:
        """Unknown until a write was refused."""
        return self._access

    def refused(self, why: str) -> None:
        """Remember that AWS refused a write for lack of a right."""
        self._access = Access(AccessState.READ_ONLY_BY_ROLE, why)

    async def check(self) -> list[Check]:
        """As the port says."""
        return await doctor.check(self.cloud, self._aws)

    async def watch(self) -> AsyncIterator[Delta]:
        """Yield at the pace at which a sweep leaves most of the shared quota to others: 2 functions a second."""
        while True:
            await asyncio.sleep(max(2.0, len(self._sweep.functions) / 2))
            yield EVERYTHING

    def confirmed_at(self) -> float | None:
        return None

    async def close(self) -> None:
        """As the port says."""
        await self.cloud.close()

    # --- parts --------------------------------------------------------------------------------------------------------

    def _snapshot(self, functions: Sequence[Function], reach: Reach, place: Place | None = None) -> Snapshot:
        place = place or self._place
        uses = self._metrics.uses
        return Snapshot(
            environment=Environment(
                name=self.name,
                platform=PLATFORM,
                labels=tuple(self._config.labels.items()),
                production=self._config.production,
                code=self._config.code,
                identity=self._identity,
                reach=reach,
                access=self._access,
            ),
            routes=tuple(alias_codec.to_route(place, item, alias) for item in functions for alias in item.aliases),
            limits=tuple(concurrency_codec.to_limit(place, item, uses.get(item.name)) for item in functions),
            read_at=time.time(),
        )

    async def _look_around(self) -> Place:
        account, (deployments, doubts) = await asyncio.gather(fetch.account(self.cloud), self._deployments())
        return Place(self.name, self._aws.region, account, deployments, doubts)

    async def _deployments(self) -> tuple[tuple[Deployment, ...], tuple[str, ...]]:
        try:
            async with asyncio.timeout(ASK_DEPLOYMENTS_SECONDS):
                return await fetch.deployments(self.cloud), ()
        except (ServiceError, ControlError, TimeoutError) as error:
            why = getattr(error, "message", "") or getattr(error, "code", "") or "no answer in time"
            if isinstance(error, NotOffered):
                return (), ()
            return (), (f"whether CodeDeploy drives this alias is not known: {why}",)

    async def _who(self) -> str:
        if self._identity:
            return self._identity
        try:
            return await fetch.identity(self.cloud)
        except (AuthError, Unreachable):
            return ""

    @staticmethod
    def _reach(place: Place) -> Reach:
        return Reach(ReachState.OK, place.doubts[0] if place.doubts else "")

    async def _fresh(self, ref: Ref) -> Function:
        """The function with its versions and provisioned concurrency, read now."""
        if ref.environment != self.name or ref.kind not in (alias_codec.KIND, concurrency_codec.KIND):
            raise NotFound(f"{ref} is not in {self.name}", ref=str(ref))
        name = _function_name(ref)
        if ref.kind == concurrency_codec.KIND:
            function = await fetch.function(self.cloud, name)
            known = self._sweep.functions.get(name)
            if known is not None:
                function = replace(function, versions=known.versions, provisioned=known.provisioned)
        else:
            function, versions, provisioned = await asyncio.gather(
                fetch.function(self.cloud, name), fetch.versions(self.cloud, name), fetch.provisioned(self.cloud, name)
            )
            function = replace(function, versions=versions, provisioned=provisioned)
        self._sweep.functions[name] = function
        return function


def _function_name(ref: Ref) -> str:
    return alias_codec.split_name(ref.name)[0] if ref.kind == alias_codec.KIND else ref.name
