"""Any implementation that sets status conditions, and of which nothing else is known."""
