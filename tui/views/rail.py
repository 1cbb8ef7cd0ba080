"""The third column of a wide screen: what is staged, what is broken, what changed."""

from __future__ import annotations

from tui import figures
from tui.cells import clip, fit
from tui.look import Line, Look
from tui.naming import shortened
from tui.staging import Staging
from tui.store import LimitRow, RouteRow, Store
from tui.views.limits import amount_text, staged_text
from tui.widgets.bars import percent


def rail_lines(store: Store, staging: Staging, look: Look, width: int) -> list[Line]:
    """Everything here is elsewhere too; here it needs no key."""
    lines: list[Line] = [((f"staged {len(staging)}", "staged" if len(staging) else "muted"),)]
    lines += _staged(store, staging, look, width) or [(("nothing waits to be sent", "faint"),)]
    lines += [(), (("broken", "bad" if store.alerts else "muted"),)]
    lines += _broken(store, look, width) or [(("nothing", "good"),)]
    lines += [(), (("changes", "title"),)]
    for row in store.changes[:14]:
        lines.append(
            (
                (f"{figures.clock(row.at)} ", "muted"),
                (fit(row.who, max(width - 6, 8)), "info" if row.outside else "accent"),
            )
        )
        lines.append((("  ", "text"), (clip(row.what, width - 2, ellipsis=look.glyphs.ellipsis), "text")))
    return lines


def _staged(store: Store, staging: Staging, look: Look, width: int) -> list[Line]:
    lines: list[Line] = []
    for ref, draft in staging.routes.items():
        row = store.routes.get(ref)
        lines.append(((fit(store.label(ref) if row else str(ref), width, ellipsis=look.glyphs.ellipsis), "text"),))
        now = {t.name: t.share for t in row.route.targets} if row else {}
        for name, after in draft.after.items():
            if after != now.get(name):
                words = f"{percent(now.get(name))}{look.glyphs.arrow}{percent(after)}"
                lines.append((("  ", "text"), (fit(name, width - 14), "muted"), (words, "staged")))
        lines += [
            (("  ", "text"), (fit(name, width - 14), "muted"), (state.value, "staged"))
            for name, state in draft.states.items()
        ]
    for ref, edit in staging.limits.items():
        limit_row = store.limits.get(ref)
        if limit_row is not None:
            words = f"{amount_text(limit_row.limit)}{look.glyphs.arrow}{staged_text(limit_row.limit, edit)}"
            lines += [((fit(store.label(ref), width), "text"),), (("  ", "text"), (words, "staged"))]
    return lines


def _broken(store: Store, look: Look, width: int) -> list[Line]:
    rows: list[RouteRow | LimitRow] = [*store.routes.values(), *store.limits.values()]
    lines: list[Line] = []
    shown = sorted((row for row in rows if row.broken), key=lambda row: -row.risk)[:8]
    names = {row.ref: f"{store.label(row.ref)} {row.ref.environment}" for row in shown}
    short = shortened(names.values(), width - 2, look.glyphs.ellipsis)
    for row in shown:
        lines.append((("! ", "bad"), (fit(short[names[row.ref]], width - 2), "strong")))
        lines.append((("  ", "text"), (clip(row.problems[0].text, width - 2, ellipsis=look.glyphs.ellipsis), "muted")))
    return lines
