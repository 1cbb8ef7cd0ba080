"""Traefik: what it loads, what it counts, where its limits hold."""
