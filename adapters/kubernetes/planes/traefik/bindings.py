"""Where each Middleware applies, and in how many places each of them counts.

Without redis Traefik makes one limiter for every router of every replica (traefik v3.7 server/router/router.go), and
an HTTPRoute's rule makes a router for each match and listener (provider/kubernetes/gateway/httproute.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from adapters.kubernetes.planes.plane import Instances, Key, Use
from adapters.kubernetes.planes.traefik.attachments import Named, Names
from adapters.kubernetes.wire.traefik import Middleware
from control.model import Binding, Domain, Interval, Limit
from control.structs import replace


def uses(named: Iterable[Named], middlewares: Iterable[Middleware]) -> dict[Key, list[Use]]:
    """Middleware (namespace, name) -> the places that it applies to, through chains too."""
    middlewares = list(middlewares)
    names = Names(middlewares)
    chains = {
        (m.metadata.namespace, m.metadata.name): [
            (ref.namespace or m.metadata.namespace, ref.name) for ref in m.spec.chain.middlewares or []
        ]
        for m in middlewares
        if m.spec.chain is not None
    }
    found: dict[Key, list[Use]] = {}
    for one in named:
        for key, use in one:
            _spread(key, use, chains, names, found, ())
    return found


def _spread(
    named: Key,
    use: Use,
    chains: Mapping[Key, list[Key]],
    names: Names,
    found: dict[Key, list[Use]],
    above: tuple[Key, ...],
) -> None:
    key = names.key(named)
    if key is None or key in above:
        return
    found.setdefault(key, []).append(use)
    for link in chains.get(key, ()):
        _spread(link, use, chains, names, found, (*above, key))


def bound(limit: Limit, used: Sequence[Use], instances: Instances, shared: bool, unseen: str = "") -> Limit:
    """The limit with its bindings, and a word where it is wider or narrower than it looks. `unseen` names the places
    that could not be looked at."""
    bindings = tuple(
        Binding(on=use.on, over=limit.over, domain=_domain(use, instances, shared), location=use.location)
        for use in used
    )
    notes = list(limit.notes)
    if not used:
        notes.append("nothing that we can see uses it" + (f"; not looked at: {unseen}" if unseen else ""))
    apart = {use.counted_at or f"{use.on} {use.location}" for use in used}
    if len(apart) > 1:
        notes.append(
            f"used in {len(apart)} places, together"
            if shared
            else f"used in {len(apart)} places, and each counts by itself: one edit changes all of them"
        )
    notes += [f"the children of {parent} share its count" for parent in sorted({use.through for use in used} - {""})]
    return replace(limit, bindings=bindings, notes=tuple(notes))


def _domain(use: Use, instances: Instances, shared: bool) -> Domain:
    if shared:
        return Domain("shared store", Interval.exactly(1), "redis")
    routers = use.apart
    low = Fraction((instances.count or 1) * (routers or 1))
    known = instances.count is not None and routers is not None
    words = [instances.source]
    if routers is None:
        words.append(use.why)
    elif routers > 1:
        words.append(f"{routers} routers of this route")
    return Domain("router×instance", Interval(low, low if known else None), ", ".join(words))
