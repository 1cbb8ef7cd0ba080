"""The words of the states of a proof, and how they are drawn."""

from __future__ import annotations

from control.ports import ProofState

PROOF = {
    ProofState.YES: ("yes", "good"),
    ProofState.NO: ("no", "bad"),
    ProofState.UNKNOWN: ("unknown", "muted"),
    ProofState.PENDING: ("pending", "warn"),
    ProofState.WAITING_FOR_TRAFFIC: ("waiting for traffic", "warn"),
}
