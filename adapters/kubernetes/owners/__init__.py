"""Who else writes an object, and what drives it."""
