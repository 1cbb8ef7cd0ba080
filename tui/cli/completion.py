"""Completion scripts, made from the grammar itself: `eval "$(trafficdeck completion bash)"`."""

from __future__ import annotations

import argparse

from tui.cli.arguments import build_parser

_BASH = """\
_trafficdeck() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" path="" part
  for part in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "$path $part" in
{steps}
    esac
  done
  case "$path" in
{words}
  esac
}}
complete -o default -F _trafficdeck trafficdeck
"""

_ZSH = "autoload -U +X bashcompinit && bashcompinit\n"


def script(shell: str) -> str:
    """The script for `bash`, `zsh` or `fish`."""
    if shell == "fish":
        return _fish()
    paths = _paths(build_parser())
    steps = "\n".join(
        f'      "{path.rpartition(" ")[0]} {path.rpartition(" ")[2]}") path="{path}" ;;' for path in paths if path
    )
    words = "\n".join(
        f'    "{path}") COMPREPLY=($(compgen -W "{" ".join(known)}" -- "$word")) ;;' for path, known in paths.items()
    )
    return (_ZSH if shell == "zsh" else "") + _BASH.format(steps=steps, words=words)


def _paths(parser: argparse.ArgumentParser, path: str = "") -> dict[str, list[str]]:
    """Command path (" set shares") -> the words that may follow it."""
    paths: list[str] = []
    below: dict[str, list[str]] = {}
    for action in parser._actions:
        paths += action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for name, sub in action.choices.items():
                paths.append(name)
                below |= _paths(sub, f"{path} {name}")
        elif action.choices and not action.option_strings:
            paths += [str(choice) for choice in action.choices]
    return {path: paths} | below


def _fish() -> str:
    lines = ["complete -c trafficdeck -f"]
    for path, words in _paths(build_parser()).items():
        parts = path.split()
        condition = " and ".join(f"__fish_seen_subcommand_from {part}" for part in parts) or "__fish_use_subcommand"
        for word in words:
            if word.startswith("--"):
                lines.append(f"complete -c trafficdeck -n '{condition}' -l {word.removeprefix('--')}")
            elif not word.startswith("-"):
                lines.append(f"complete -c trafficdeck -n '{condition}' -a {word}")
    return "\n".join(lines) + "\n"
