"""What the bed says when it cannot do what it was asked to."""

from __future__ import annotations


class BedError(Exception):
    """One sentence: what went wrong, and what to do about it."""
