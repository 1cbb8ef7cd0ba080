"""From edits to a plan: what they mean, what objects to them, and in which order they are written."""
