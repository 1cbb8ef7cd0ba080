"""Which AWS profiles a user has, and their regions: names only, no key is looked at."""

from __future__ import annotations

import configparser
import os
from pathlib import Path

from control.text import clean


def find_profiles(home: Path) -> list[dict[str, str]]:
    """Profiles of `~/.aws/config` and `~/.aws/credentials`: `{profile, region}`; without a region of its own a profile
    has that of `AWS_REGION`, else none."""
    config = _parsed(Path(os.environ.get("AWS_CONFIG_FILE") or home / ".aws" / "config"))
    secret = _parsed(Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws" / "credentials"))
    regions: dict[str, str] = {}
    for section in config.sections():
        kind, _, name = section.partition(" ")
        if kind == "profile" or section == "default":
            regions[name.strip() or section] = config.get(section, "region", fallback="")
    for section in secret.sections():
        regions.setdefault(section, "")
    usual = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""
    return [
        {"profile": name, "region": region or usual}
        for name, region in regions.items()
        if name and clean(name) == name and clean(region) == region
    ]


def _parsed(file: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read(file.expanduser(), "utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return configparser.RawConfigParser()
    return parser
