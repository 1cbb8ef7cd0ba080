"""One subject per kind: an object of the bed, two edits of it that can be told apart, and one that must be refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from control.model import Limit, Route, Snapshot
from control.model.ref import Ref
from control.planning.edit import Change, Edit, LimitEdit, Share, SharesEdit, target_field
from control.planning.edits import resolve_limit, resolve_shares
from control.structs import replace
from tests.bed import planes

Value = int | Fraction | Share


@dataclass(frozen=True, slots=True)
class Subject:
    """`edits` makes the n-th edit (0 or 1) of what was read; `refused` a change that the platform cannot hold."""

    ref: Ref
    edits: Callable[[Route | Limit, int], Edit]
    refused: Callable[[Route | Limit], Change]
    unguarded: str = ""
    """What the step warns of where the platform offers no precondition; empty where it does."""

    @property
    def kind(self) -> str:
        return self.ref.kind

    @property
    def environment(self) -> str:
        return self.ref.environment

    def changes(self, found: Route | Limit, number: int) -> tuple[Change, ...]:
        """The n-th edit resolved against what was read."""
        edit = self.edits(found, number)
        if isinstance(found, Route):
            assert isinstance(edit, SharesEdit)
            return resolve_shares(found, edit)
        assert isinstance(edit, LimitEdit)
        return resolve_limit(found, edit)

    def find(self, snapshot: Snapshot) -> Route | Limit:
        """The subject in what was read; a member inside its group's row."""
        rows: list[Route | Limit] = [*snapshot.routes, *snapshot.limits]
        members = [member for row in rows for member in row.members]
        return next(row for row in [*rows, *members] if row.ref == self.ref)


def _weights(*sets: tuple[Value, ...]) -> Callable[[Route | Limit, int], Edit]:
    def make(found: Route | Limit, number: int) -> Edit:
        assert isinstance(found, Route)
        return SharesEdit(found.ref, tuple(zip((t.name for t in found.targets), sets[number], strict=False)))

    return make


def _amounts(*amounts: int) -> Callable[[Route | Limit, int], Edit]:
    return lambda found, number: LimitEdit(found.ref, amount=Fraction(amounts[number]))


def _weight_refused(weight: Fraction | int, what: str = "weight") -> Callable[[Route | Limit], Change]:
    def make(found: Route | Limit) -> Change:
        assert isinstance(found, Route)
        target = found.targets[0]
        before = target.share if what == "share" else target.weight
        return Change(found.ref, target_field(target.name, what), before, weight)

    return make


def _amount_refused(amount: Fraction | int) -> Callable[[Route | Limit], Change]:
    def make(found: Route | Limit) -> Change:
        assert isinstance(found, Limit)
        return Change(found.ref, "amount", found.amount, Fraction(amount))

    return make


def _subject(
    ref: str, edits: Callable[[Route | Limit, int], Edit], refused: Callable[[Route | Limit], Change]
) -> Subject:
    return Subject(Ref.parse(ref), edits, refused)


_HALF, _QUARTER = Share(Fraction(1, 2)), Share(Fraction(1, 4))

SUBJECTS = (
    _subject("eu/HTTPRoute/inference/embed#rule=1", _weights((5, 2), (6, 7)), _weight_refused(1_000_001)),
    _subject("eu/TraefikService/inference/mixtral", _weights((5, 2), (6, 7)), _weight_refused(-1)),
    _subject("eu/IngressRoute/inference/qwen#rule=0", _weights((5, 2), (6, 7)), _weight_refused(-1)),
    _subject("us/Middleware/inference/per-client", _amounts(11, 12), _amount_refused(Fraction(1, 3))),
    _subject("web/NginxUpstream/web-1/mistral", _weights((7, 2), (8, 3)), _weight_refused(0)),
    _subject(
        "web/NginxSplitClients/web-1/trial",
        _weights((_QUARTER, Share(Fraction(3, 4))), (_HALF, _HALF)),
        _weight_refused(Fraction(1, 30_000), "share"),
    ),
    _subject("web/NginxLimitReq/web-1/per_client", _amounts(11, 12), _amount_refused(Fraction(1, 3))),
    _subject("web/NginxLimitConn/web-1/streams", _amounts(5, 6), _amount_refused(70_000)),
    _subject("web/NginxMaxConns/web-1/batch%2Funix:%2Frun%2Fbatch.sock", _amounts(5, 6), _amount_refused(2_000_000)),
    _subject("edge/HAProxyBackend/edge-1/edge-llama", _weights((40, 40, 20), (60, 20, 20)), _weight_refused(257)),
    _subject("lb/HAProxyRequestLimit/lb-1/limited%2Fcallers", _amounts(21, 22), _amount_refused(Fraction(1, 3))),
    _subject("lb/HAProxyMaxconn/lb-1/batch%2Fbatch-a", _amounts(5, 6), _amount_refused(Fraction(1, 3))),
    _subject(
        "fn/LambdaAlias/eu-central-1/chat:live",
        _weights((Share(Fraction(3, 4)), _QUARTER), (_HALF, _HALF)),
        _weight_refused(Fraction(3, 2), "share"),
    ),
    replace(
        _subject("fn/LambdaConcurrency/eu-central-1/chat", _amounts(51, 52), _amount_refused(Fraction(1, 3))),
        unguarded="no precondition",
    ),
)

BEYOND = {
    "crds": (
        _subject("us/GRPCRoute/inference/speech#rule=say", _weights((5, 2), (6, 7)), _weight_refused(1_000_001)),
        _subject("us/VirtualService/inference/rank#http=all", _weights((70, 30), (60, 40)), _weight_refused(-1)),
        _subject("us/SplitRoute/inference/chat#rule=main", _weights((600, 400), (500, 500)), _weight_refused(1001)),
        _subject("us/KeyQuota/inference/tenants#limit=team-a", _amounts(11, 12), _amount_refused(Fraction(1, 3))),
    ),
}
"""Plane beyond the core -> its subjects."""

ELSEWHERE = {"CaddyReverseProxy": "tests/adapters/ssh/test_caddy_host.py"}
"""Kind -> the tests on its real server, where the bed has none."""


def chosen() -> tuple[Subject, ...]:
    """The subjects of this run: the core's, or those of the planes that were asked for."""
    names = planes.chosen()
    return tuple(subject for name in names for subject in BEYOND[name]) if names else SUBJECTS
