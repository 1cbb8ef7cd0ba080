"""Who is counted by the table that a limiting rule looks at, and when: before the rule, after it, elsewhere, never."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from adapters.ssh.proxies.haproxy.acls import Acls
from adapters.ssh.proxies.haproxy.flow import CONTENT, COUNTED, SESSION, Flows, Position, never_runs, spared
from adapters.ssh.proxies.haproxy.lines import Section
from adapters.ssh.proxies.haproxy.mask import mask_words, shown
from adapters.ssh.proxies.haproxy.rules import Readings, Rule, Table, Track
from adapters.ssh.proxies.haproxy.servers import disabled


@dataclass(frozen=True, slots=True)
class Counting:
    """What feeds the counter of one rule."""

    table: str
    key: str = ""
    itself: bool = False
    """The request is counted before the rule looks at the number."""
    refused: bool = False
    """Refused requests are counted too: a caller that keeps trying is kept out for as long as it tries."""
    elsewhere: bool = False
    """Only requests of other proxies are counted: those of the rule's own are refused by what others did."""
    connections: bool = False
    """What is tracked are connections, not requests."""
    off: str = ""
    """Why the rule never refuses, or nothing."""
    why_not: str = ""
    notes: tuple[str, ...] = field(default=())


class _Unclear(Exception):
    """Who is counted cannot be told."""


def counting(
    rule: Rule, flows: Flows, tracking: Sequence[Track], known: Mapping[str, Table], read: Readings
) -> Counting:
    """Who is counted for a rule."""
    rate, section = rule.rate, rule.section
    unreached = "this proxy is disabled" if disabled(section) else never_runs(rule.step, flows.steps(section))
    if rate is None:
        return Counting(_named_table(rule), _key_of(rule.term.sample, section, flows, tracking), off=unreached)
    if rate.what == "fe_req_rate":
        here = rate.key in ("", section.name) and section.keyword != "backend"
        why = "" if here else "it looks at the requests of another proxy"
        return Counting("", "", True, True, off=unreached, why_not=why)
    try:
        found = _Finder(rule, flows, [t for t in tracking if not never_runs(t.step, flows.steps(t.section))], read)
        return found.counting(known, unreached)
    except _Unclear as error:
        return Counting(rate.table or section.name, rate.key, off=unreached, why_not=str(error))


class _Finder:
    def __init__(self, rule: Rule, flows: Flows, tracking: Sequence[Track], read: Readings) -> None:
        assert rule.rate is not None
        self.rule, self.rate, self.section = rule, rule.rate, rule.section
        self.flows, self.tracking, self.read = flows, tracking, read
        self.fronts = flows.before(self.section)

    def counting(self, known: Mapping[str, Table], unreached: str) -> Counting:
        """Raises `_Unclear`."""
        table, key, path = self._looked_up()
        if not path and not any(track.table == table for track in self.tracking):
            if table in known and known[table].peers:
                raise _Unclear(f"what {table} counts comes from its peers")
            never = "nothing is counted before this rule looks: it never refuses"
            return Counting(table, key, off=unreached or never)
        if self.rate.counter is not None and not path:
            return Counting(table, key, off=unreached or "nothing is counted before this rule looks: it never refuses")
        same = [track for track in self.tracking if track.table == table and self._key(track) == self._own_key(key)]
        if not path and not same:
            keys = ", ".join(dict.fromkeys(track.key for track in self.tracking if track.table == table))
            raise _Unclear(f"the table {table} counts by {keys}, and the rule looks up {key}")
        for track in (*path, *same):
            if track.step.line.branches:
                raise _Unclear(track.step.line.unknown)
        itself = any(self._counts_at(track) < self.rate.at for track in path)
        refused = self.rate.what != "conn_cur" and any(
            self._counts_at(track) < self.rule.step.at and not self._gated(track) for track in path
        )
        if len({t.counter for t in path if t.table == table and t.step.condition is None and self._here(t)}) > 1:
            raise _Unclear(f"a request is counted more than once in {table}")
        others = [track for track in same if track not in path]
        return Counting(
            table=table,
            key=key,
            itself=itself,
            refused=refused,
            elsewhere=not path,
            connections=bool(path) and all(track.step.at[0] <= SESSION for track in path),
            off=unreached,
            notes=tuple(self._notes(path, others, not path)),
        )

    def _looked_up(self) -> tuple[str, str, list[Track]]:
        """The table and key, and the tracking rules that count this rule's own requests there."""
        if self.rate.counter is None:
            table, key = self.rate.table or self.section.name, self.rate.key
            near = [self.section, *self.fronts, *self.flows.after(self.section)]
            own = self._own_key(key)
            return table, key, [t for t in self.tracking if t.table == table and self._key(t) == own and _in(t, near)]
        reach = [self.section, *self.fronts]
        same = [track for track in self.tracking if track.counter == self.rate.counter and _in(track, reach)]
        found = self._first(
            [track for track in same if track.section is not self.section or track.step.at < self.rate.at]
        )
        names = list(dict.fromkeys(track.table for track in found))
        key = " or ".join(dict.fromkeys(track.key for track in found))
        if not found:
            return self.rate.table or (same[0].table if same else self.section.name), "", []
        if self.rate.table and self.rate.table not in names:
            if len(found) > 1:
                raise _Unclear(f"counter {self.rate.counter} may hold one of several keys")
            table = self.rate.table
            return table, key, [t for t in self.tracking if t.table == table and t.key == key and _in(t, reach)]
        if len(names) > 1:
            raise _Unclear(f"counter {self.rate.counter} may be that of {' or '.join(names)}")
        if any(self._gated(track) for track in found) and self.rate.at == self.rule.step.at:
            raise _Unclear("what is counted depends on the number that the rule looks at")
        return names[0], key, found

    def _first(self, found: Sequence[Track]) -> list[Track]:
        """A counter holds the first key that a rule gives it for a request: rules behind a certain one do nothing."""
        kept: list[Track] = []
        for section in dict.fromkeys(id(track.section) for track in found):
            for track in sorted((t for t in found if id(t.section) == section), key=lambda t: t.step.at):
                kept.append(track)
                if track.step.condition is None and track.key == "src":
                    break
        return kept

    def _here(self, track: Track) -> bool:
        return track.section is self.section

    def _counts_at(self, track: Track) -> Position:
        """When a request is counted that this rule tracks: at once, or when it has been parsed."""
        early = track.step.at[0] <= CONTENT and self.rate.what == "http_req_rate"
        return (COUNTED, 0) if early else track.step.at

    def _gated(self, track: Track) -> bool:
        """Whether the track runs only where the rule does not refuse: it has the opposite condition."""
        term = self.rule.term
        acls: Acls = self.read.of(track.section).acls
        return all(
            any(t.sample == term.sample and t.words == term.words and t.negated != term.negated for t in alternative)
            for alternative in acls.alternatives(track.step)
        )

    def _key(self, track: Track) -> str:
        return self.read.of(track.section).samples.key(track.key)

    def _own_key(self, key: str) -> str:
        return self.read.of(self.section).samples.key(key)

    def _notes(self, path: Sequence[Track], others: Sequence[Track], elsewhere: bool) -> list[str]:
        notes = []
        for track in path:
            if track.step.condition is not None and not self._gated(track):
                told = mask_words(track.step.told)
                notes.append(f"counted are only requests of {_name(track)} {told} ({track.step.line.location})")
            notes += [
                f"not counted: '{shown(former.line)}' ({former.line.location})"
                for former in spared(track.step, self.flows.steps(track.section))
                if track.section is not self.section or former.at > self.rule.step.at
            ]
        fronts = [t.section for t in path if t.section.keyword != "backend"]
        missing = [one for one in self.fronts if fronts and not any(one is front for front in fronts)]
        if self.rate.counter is not None and missing:
            told = ", ".join(one.name for one in missing)
            notes.append(f"requests that come through {told} are neither counted nor refused")
        told = ", ".join(dict.fromkeys(_name(track) for track in others))
        if elsewhere:
            notes.append(f"counted are only requests of {told}: those of this proxy are refused by them")
        elif told:
            notes.append(f"requests of {told} are counted in the same table")
        notes += [
            f"not for requests that '{shown(former.line)}' takes ({former.line.location})"
            for former in spared(self.rule.step, self.flows.steps(self.section))
        ]
        return notes


def _key_of(sample: str, section: Section, flows: Flows, tracking: Sequence[Track]) -> str:
    """Whom a sample counts that is not understood otherwise; empty where that is not known."""
    if sample.startswith("src_"):
        return "src"
    looked_up = re.match(r"\A(.+?),table_", sample)
    if looked_up:
        return looked_up[1]
    counter = re.match(r"\Asc(?:(\d+)_\w+|_\w+\(\s*(\d+))", sample)
    if counter is None:
        return ""
    reach = [section, *flows.before(section)]
    number = int(counter[1] or counter[2])
    keys = dict.fromkeys(track.key for track in tracking if track.counter == number and _in(track, reach))
    return " or ".join(keys)


def _named_table(rule: Rule) -> str:
    """The table that a sample names which is not understood, else that of its section."""
    found = re.search(r"_\w+\((?:[^(),]*,)?\s*([A-Za-z][\w.:/-]*)\s*\)", rule.term.sample)
    return found[1] if found else rule.section.name


def _in(track: Track, sections: Sequence[object]) -> bool:
    return any(track.section is section for section in sections)


def _name(track: Track) -> str:
    return f"{track.section.keyword} {track.section.name}"
