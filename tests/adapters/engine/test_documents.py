"""Documents: one value changes, and no other byte; what has no place of its own is refused with the reason."""

from __future__ import annotations

import json
import random
import tomllib
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from adapters.engine.documents.document import Document
from adapters.engine.documents.nodes import Number
from adapters.engine.documents.toml_text import TomlDocument
from adapters.engine.documents.yaml_text import JsonDocument, YamlDocument, all_of, decode, encode
from adapters.engine.operations import Op, add, pointer, remove, replace
from adapters.engine.operations import TestFailed as NotAsExpected
from adapters.engine.operations import test as expects
from control.errors import InvalidValue

FILE = """# who gets what
apiVersion: v1   # kept
spec:
  rules:
  - name: main  # the first
    weight: 90
    "x.y/z": 'a'
  - {name: other, weight: 10, tags: [a, "b: c"]}
  - name: spare
    where:
      host: h
empty:
last: "é 😀 ok"
"""


def put(*path: str | int, value: Any) -> Op:
    return (replace if isinstance(path[-1], int) else add)(pointer(*path), value)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("op", "old", "new"),
    [
        (put("spec", "rules", 0, "weight", value=5), "weight: 90", "weight: 5"),
        (put("spec", "rules", 1, "weight", value=0), "weight: 10", "weight: 0"),
        (put("spec", "rules", 0, "x.y/z", value="b"), "'a'", "'b'"),
        (put("spec", "rules", 1, "tags", 1, value="x"), '"b: c"', '"x"'),
        (put("spec", "rules", 2, "weight", value=7), "- name: spare\n", "- name: spare\n    weight: 7\n"),
        (put("spec", "rules", 2, "where", "port", value=7), "host: h\n", "host: h\n      port: 7\n"),
        (put("spec", "rules", 1, "burst", value=7), 'c"]}', 'c"], burst: 7}'),
        (put("empty", value=3), "empty:\n", "empty: 3\n"),
        (put("last", value="no"), '"é 😀 ok"', '"no"'),
        (put("limits", value={"a": 1}), "v1   # kept\n", "v1   # kept\nlimits: {a: 1}\n"),
        (remove("/spec/rules/0/weight"), "    weight: 90\n", ""),
        (remove("/spec/rules/1/weight"), ", weight: 10", ""),
        (remove("/empty"), "empty:\n", ""),
    ],
)
def test_one_place_of_a_yaml_text_changes(op: Op, old: str, new: str, line_end: str) -> None:
    text, old, new = (one.replace("\n", line_end) for one in (FILE, old, new))
    assert text.count(old) == 1
    assert YamlDocument(text).set([op]) == text.replace(old, new)


def test_what_was_put_in_and_taken_out_again_leaves_no_trace() -> None:
    for path in (("spec", "rules", 2, "weight"), ("spec", "rules", 1, "burst"), ("spec", "rules", 0, "burst"), ("x",)):
        with_it = YamlDocument(FILE).set([put(*path, value=5)])
        assert with_it != FILE
        assert YamlDocument(with_it).set([remove(pointer(*path))]) == FILE


def test_a_whole_list_becomes_its_changed_leaves() -> None:
    rules = yaml.safe_load(FILE)["spec"]["rules"]
    rules[0]["weight"], rules[1]["weight"] = 30, 70
    text = YamlDocument(FILE).set([put("spec", "rules", value=rules)])
    assert text == FILE.replace("weight: 90", "weight: 30").replace("weight: 10", "weight: 70")


def test_what_is_not_as_expected_is_refused() -> None:
    with pytest.raises(NotAsExpected):
        YamlDocument(FILE).set([expects("/spec/rules/0/weight", 91), put("spec", "rules", 0, "weight", value=5)])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: &w 10\nb: *w\n", "alias"),
        ("b: &w 10\na: 1\nc: *w\n", "other places repeat"),
        ("b: 1\nb: 2\n", "twice"),
        ("b: one\n  two\n", "several lines"),
        ("b: |\n  one\n", "several lines"),
        ('b: "one\n  two"\n', "several lines"),
        ("b: [1]\n", "come or go|single|else"),
    ],
)
def test_what_has_no_place_of_its_own_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(InvalidValue, match=why):
        YamlDocument(text).set([put("b", value=5)])


@pytest.mark.parametrize(
    "text",
    ["w: {{ .V }}\n", "{{- if .X }}\nw: 1\n{{- end }}\n", "w: 1\nn: a{{ .V }}\n", "a: |\n  {{ .V }}\n", "? [a]\n: 1\n"],
)
def test_a_template_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        YamlDocument(text)


def test_braces_in_quotes_and_comments_are_no_template() -> None:
    text = "n: \"{{ .V }}\"  # {{ x }}\nw: 1\n# {{ y }}\nm: '# {{ z }}'\n"
    assert YamlDocument(text).set([put("w", value=2)]) == text.replace("w: 1", "w: 2")


def test_anchors_tags_and_merges() -> None:
    text = "base: &b {w: 1, x: 2}\nmine:\n  <<: *b\n  y: 3\nn: &only 10\nt: !!int 5\n"
    document = YamlDocument(text)
    assert document.get(("mine", "w")) == 1
    assert document.set([put("n", value=11)]) == text.replace("&only 10", "&only 11")
    assert document.set([put("mine", "w", value=9)]) in (
        text.replace("  y: 3\n", "  y: 3\n  w: 9\n"),
        text.replace("mine:\n", "mine:\n  w: 9\n"),
    )
    with pytest.raises(InvalidValue, match="other places repeat"):
        document.set([put("base", "w", value=9)])


def test_only_what_all_parsers_read_alike_is_a_number() -> None:
    text = "a: 010\nb: 1_000\nc: 1:30\nd: 0o17\ne: 1e3\nf: yes\ng: -5\nh: 1.50\ni: 0\nj: true\nk: ~\nl: '90'\n"
    data = YamlDocument(text).data
    assert data == {
        "a": "010", "b": "1_000", "c": "1:30", "d": "0o17", "e": "1e3", "f": "yes", "g": -5, "h": "1.50", "i": 0,
        "j": True, "k": None, "l": "90",
    }  # fmt: skip
    assert isinstance(data["h"], Number)
    assert type(data["a"]) is str


def test_one_document_of_several() -> None:
    text = "---\na: 1\n---\na: 2\n...\n---\na: 3\n"
    assert [one.data for one in all_of(text)] == [{"a": 1}, {"a": 2}, {"a": 3}]
    assert all_of(text)[1].set([put("a", value=9)]) == text.replace("a: 2", "a: 9")


def test_the_byte_order_mark_stays_and_other_encodings_are_refused() -> None:
    text, mark = decode(b"\xef\xbb\xbfa: 1\n")
    assert encode(YamlDocument(text).set([put("a", value=2)]), mark) == b"\xef\xbb\xbfa: 2\n"
    with pytest.raises(InvalidValue, match="UTF-8"):
        decode("a: 1\n".encode("utf-16"))


def test_json_keeps_its_tabs() -> None:
    text = '{\n\t"a": {"b": 1.50, "c": [1, 2]},\n\t"d": "x"\n}\n'
    document = JsonDocument(text)
    assert document.set([put("a", "c", 1, value=3)]) == text.replace("[1, 2]", "[1, 3]")
    assert document.set([put("e", value=True)]) == text.replace('"x"\n', '"x",\n\t"e": true\n')
    assert document.set([remove("/a/b")]) == text.replace('"b": 1.50, ', "")


TOML = """# limits
top = 1

[a.b]
rate = 10   # per second
name = 'x'
"odd key" = "v"
inner = {w = 1, v = [1, 2]}
long = \"\"\"
several
\"\"\"

[[list]]
w = 1
[[list]]
  w = 2
[list.sub]
x = 1.50
"""


@pytest.mark.parametrize(
    ("op", "old", "new"),
    [
        (put("top", value=2), "top = 1", "top = 2"),
        (put("a", "b", "rate", value=99), "rate = 10", "rate = 99"),
        (put("a", "b", "name", value="y"), "'x'", "'y'"),
        (put("a", "b", "odd key", value="w"), '"v"', '"w"'),
        (put("a", "b", "inner", "w", value=5), "{w = 1", "{w = 5"),
        (put("a", "b", "inner", "v", 1, value=5), "[1, 2]", "[1, 5]"),
        (put("a", "b", "inner", "z", value=5), "2]}", "2], z = 5}"),
        (put("list", 1, "w", value=7), "  w = 2", "  w = 7"),
        (put("list", 1, "v", value=7), "  w = 2\n", "  w = 2\n  v = 7\n"),
        (put("list", 1, "sub", "x", value=Number("2.5")), "1.50", "2.5"),
        (put("more", value=7), "top = 1\n", "top = 1\nmore = 7\n"),
        (remove("/a/b/rate"), "rate = 10   # per second\n", ""),
    ],
)
def test_one_place_of_a_toml_text_changes(op: Op, old: str, new: str) -> None:
    assert TOML.count(old) == 1
    assert TomlDocument(TOML).set([op]) == TOML.replace(old, new)
    with pytest.raises(InvalidValue):
        TomlDocument(TOML).set([put("a", "b", "long", value="x")])


def test_secrets_are_covered_where_they_stand() -> None:
    text = "user: me\npassword: 'hunter2'  # not this\nport: 80\n"
    document = YamlDocument(text)

    def hides(path: Any, value: Any) -> bool:
        return path[-1] == "password"

    assert document.mask(hides).rstrip() == "user: me\npassword: (masked)  # not this\nport: 80"
    difference = document.diff(document.set([put("port", value=81)]), "f", hides)
    assert "-port: 80" in difference
    assert "+port: 81" in difference
    assert "hunter2" not in difference


LEAVES = st.integers(-(10**6), 10**6) | st.text(max_size=8) | st.booleans() | st.none()
KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6)
DATA = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=12
)


def texts(data: Any, seed: int) -> list[Document]:
    """The same data as JSON and as YAML in several styles."""
    chance = random.Random(seed)
    found: list[Document] = [JsonDocument(json.dumps(data, indent=chance.choice([None, 1, "\t"])))]
    for flow in (False, None):
        written = yaml.safe_dump(data, default_flow_style=flow, allow_unicode=True, width=10**6, sort_keys=False)
        written = written.replace("\n", chance.choice(["\n", "\r\n"]))
        if "{{" not in written:
            found.append(YamlDocument(written))
    return found


def places(node: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(node, dict):
        return [path for key, value in node.items() for path in places(value, (*at, key))]
    if isinstance(node, list):
        return [path for index, value in enumerate(node) for path in places(value, (*at, index))]
    return [at] if type(node) is int else []


@given(st.dictionaries(KEYS, DATA, min_size=1, max_size=4), st.integers(0, 99), st.data())
def test_whatever_the_text_only_the_number_changes(data: dict[str, Any], seed: int, draw: st.DataObject) -> None:
    try:
        documents = texts(data, seed)
    except InvalidValue:
        return  # braces that look like a template
    for document in documents:
        found = places(document.data)
        if not found:
            return
        path = draw.draw(st.sampled_from(found))
        span = document.span(path)
        after = document.set([put(*path, value=123456789)])
        assert after == document.text[: span.start] + "123456789" + document.text[span.end :]


@given(st.dictionaries(st.sampled_from("abc"), st.integers() | st.text(max_size=5), max_size=3), st.integers())
def test_toml_says_what_tomllib_says(table: dict[str, Any], new: int) -> None:
    text = "".join(f"{key} = {json.dumps(value, ensure_ascii=True)}\n" for key, value in table.items())
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    document = TomlDocument(text)
    for key, value in table.items():
        if isinstance(value, int):
            assert tomllib.loads(document.set([put(key, value=new)])) == {**table, key: new}
