"""What an edit means for one route or limit, field by field, on what was just read.

For a group (`members`), call these with each member.
"""

from __future__ import annotations

from collections.abc import Callable

from control.edit import Change, LimitEdit, SharesEdit, StateEdit
from control.model import Limit, Route, Weight


def resolve_shares(route: Route, edit: SharesEdit) -> tuple[Change, ...]:
    """The changes of native weights (or shares) that `edit` asks of `route`; none where nothing changes.

    The changes' ref is `route.ref`, so that a member's changes name the member. Raises `NotFound` for a target that
    is not there and `InvalidValue` for what the kind cannot hold.
    """
    raise NotImplementedError


def resolve_states(route: Route, edit: StateEdit, remembered: Callable[[str], Weight | None]) -> tuple[Change, ...]:
    """The changes of states, or of weights where the kind drains by weight 0; none where nothing changes.

    `remembered(target name)` is the weight that the journal has from before the target was drained, or None.
    """
    raise NotImplementedError


def resolve_limit(limit: Limit, edit: LimitEdit) -> tuple[Change, ...]:
    """The changes of `amount`, `window` (seconds) and `burst`; none where nothing changes."""
    raise NotImplementedError
