"""What an edit means for one route or limit, field by field, on what was just read.

For a group (`members`), call these with each member.
"""

from control.planning.limit_edits import resolve_limit
from control.planning.share_edits import holds_shares, resolve_shares
from control.planning.state_edits import resolve_states

__all__ = ["holds_shares", "resolve_limit", "resolve_shares", "resolve_states"]
