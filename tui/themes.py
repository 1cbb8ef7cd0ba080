"""Theme files: our own beside the package, the user's in the config folder; checked, never trusted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from control.errors import DeckError
from tui.look import GROUNDS, ROLES, ThemeColors

DEFAULT = "dusk"
SIXTEEN = "sixteen"
TRUECOLOR = 1 << 24
_COLOR = r"#[0-9a-fA-F]{6}"
_GROUND = re.compile(_COLOR)
_ROLE = re.compile(rf"((bold|italic|underline|reverse) )*{_COLOR}( on {_COLOR})?")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse_theme(text: str, source: str) -> ThemeColors:
    """Read one theme. Raises `DeckError` that names every wrong field with its line."""
    try:
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise DeckError(f"{source}: line {mark.line + 1 if mark else '?'}: not YAML") from error
    problems: list[str] = []
    top = _mapping(root, "the theme", problems)
    name = _scalar(top.pop("name", None), "name", problems)
    dark = _scalar(top.pop("dark", None), "dark", problems)
    if dark not in ("true", "false"):
        problems.append("dark: must be true or false")
    grounds = _colors(top.pop("grounds", None), "grounds", GROUNDS, _GROUND, problems)
    roles = _colors(top.pop("roles", None), "roles", ROLES, _ROLE, problems)
    problems += [f"line {node.start_mark.line + 1}: {key}: unknown field" for key, node in top.items()]
    if problems:
        raise DeckError(f"{source}: " + "; ".join(problems))
    return ThemeColors(name, dark == "true", grounds, roles)


def _mapping(node: yaml.Node | None, what: str, problems: list[str]) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        problems.append(f"{what}: must be a mapping")
        return {}
    return {str(key.value): value for key, value in node.value}


def _scalar(node: yaml.Node | None, what: str, problems: list[str]) -> str:
    if not isinstance(node, yaml.ScalarNode):
        problems.append(f"{what}: missing or not a plain value")
        return ""
    return str(node.value)


def _colors(
    node: yaml.Node | None, what: str, names: tuple[str, ...], form: re.Pattern[str], problems: list[str]
) -> dict[str, str]:
    values: dict[str, str] = {}
    for key, value in _mapping(node, what, problems).items():
        line = value.start_mark.line + 1
        if key not in names:
            problems.append(f"line {line}: {what}.{key}: unknown field")
        elif not isinstance(value, yaml.ScalarNode) or not form.fullmatch(str(value.value)):
            problems.append(f"line {line}: {what}.{key}: not a colour like '#a1b2c3' or 'bold #a1b2c3 on #000000'")
        else:
            values[key] = str(value.value)
    if node is not None:
        problems += [f"{what}.{name}: missing" for name in names if name not in values and not problems]
    return values


def our_themes() -> dict[str, str]:
    """Name -> text of every theme that is shipped."""
    folder = resources.files("themes")
    return {
        entry.name.removesuffix(".yaml"): entry.read_text("utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    }


def theme_names(config_folder: Path | None = None) -> list[str]:
    """Every theme that can be chosen, ours and the user's."""
    names = set(our_themes())
    if config_folder is not None:
        names |= {path.stem for path in (config_folder / "themes").glob("*.yaml")}
    return sorted(names)


def colours(environment: Mapping[str, str]) -> int:
    """How many colours the terminal says that it has: 16, 256 or `TRUECOLOR`."""
    if environment.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return TRUECOLOR
    term = environment.get("TERM", "")
    more = term in ("", "dumb") or "256color" in term or term.endswith(("kitty", "ghostty", "direct"))
    return 256 if more else 16


def usual_theme(environment: Mapping[str, str]) -> str:
    """The theme where none was chosen: that of sixteen colours where the terminal does not say that it has more."""
    return SIXTEEN if colours(environment) == 16 else DEFAULT


def load_theme(name: str, config_folder: Path | None = None) -> ThemeColors:
    """The user's theme of that name, else ours. Raises `DeckError` for none or a wrong one."""
    if config_folder is not None and re.fullmatch(r"[\w-]+", name):
        path = config_folder / "themes" / f"{name}.yaml"
        if path.is_file():
            return parse_theme(path.read_text("utf-8", errors="replace"), path.name)
    entry = resources.files("themes") / f"{name}.yaml"
    if not re.fullmatch(r"[\w-]+", name) or not entry.is_file():
        raise DeckError(f"there is no theme '{name}'", hint="themes: " + ", ".join(theme_names(config_folder)))
    return parse_theme(entry.read_text("utf-8"), f"{name}.yaml")
