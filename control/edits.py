"""What an edit means for one route or limit, field by field, on what was just read.

For a group (`members`), call these with each member.
"""

from control.limitedits import resolve_limit
from control.shareedits import holds_shares, resolve_shares
from control.stateedits import resolve_states

__all__ = ["holds_shares", "resolve_limit", "resolve_shares", "resolve_states"]
