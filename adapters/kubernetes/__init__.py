"""Kubernetes: Gateway API and Traefik routes, Traefik limits."""
