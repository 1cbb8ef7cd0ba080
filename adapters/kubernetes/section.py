"""What Kubernetes declares of itself: the name of the platform."""

from __future__ import annotations

PLATFORM = "kubernetes"
