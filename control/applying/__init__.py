"""Doing a plan, its proof, taking it back, and the truth about one that was cut off."""
