"""Why sudo did not do what was asked: what it says, as one of a few causes with what to do about it."""

from __future__ import annotations

from control.text import clean

_CAUSES = (
    (
        ("password is required", "no password was provided"),
        "sudo asks for a password",
        "allow it without one (NOPASSWD) in sudoers",
    ),
    (("must have a tty", "no tty present"), "sudo wants a terminal", "take `requiretty` from sudoers for this user"),
    (("not in the sudoers",), "sudo does not know this user", "add the user to sudoers"),
    (
        ("not allowed to", "may not run"),
        "sudo does not allow it to this user",
        "allow it in sudoers without a password",
    ),
    (
        ("account has expired", "account validation failure"),
        "sudo refuses this user's account",
        "ask who runs the host",
    ),
    (("no new privileges",), "sudo cannot become root there (no new privileges)", "run sshd without that flag"),
    (("must be owned by uid 0", "effective uid is not 0"), "sudo is not installed as root there", "repair sudo there"),
)
_MISSING = ("not found", "no such file")


def trouble(error: bytes) -> tuple[str, str] | None:
    """(cause, what to do) of what stood on standard error, or None where sudo said nothing there."""
    lines = [line.strip() for line in error.decode("utf-8", "replace").splitlines()]
    said = [line for line in lines if "sudo" in line.lower()]
    if not said:
        return None
    text = " ".join(said).lower()
    for marks, cause, remedy in _CAUSES:
        if any(mark in text for mark in marks):
            return cause, f"{remedy}, or set `sudo: false` in the deck file"
    if any(mark in text for mark in _MISSING):
        return "there is no sudo", "install sudo there, or set `sudo: false` in the deck file"
    return f"sudo refused: {clean(said[-1].removeprefix('sudo: '), 300)}", "correct sudoers, or set `sudo: false`"
