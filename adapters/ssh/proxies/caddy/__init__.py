"""Caddy on a host: its Caddyfile edited in place, its admin endpoint asked for what runs."""
