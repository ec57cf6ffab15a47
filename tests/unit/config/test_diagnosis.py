"""Text that is not YAML: what is wrong, in plain words, and in which line."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yaml import MarkedYAMLError

from secrets_cache.config.diagnosis import diagnose
from tests.support.configuration import find_problem, read
from tests.support.fakes import CANARY

CASES = [
    ("server:\n\ttoken: t", 2, "a tab as indentation"),
    ("secrets:\n\t- a", 2, "a tab as indentation"),
    ("secrets:\n  - a\n \t- b\nttl: 5m", 3, "a tab as indentation"),
    ("secrets:\n  -\ta\n", 2, "a tab"),
    ("ttl:\t5m\nsecrets: [a]\n", 1, "a tab"),
    ("ttl: 5m\nsecrets:\t\n  - a\n", 2, "a tab"),
    ("secrets: [a]\\nttl: 5m", 1, "\\n as two characters"),
    ("secrets:\n  - {{ env }}/db\n", 2, "{{, as templates have it"),
    ("secrets:\n{{- range .Values.secrets }}\n  - {{ . }}\n", 2, "{{, as templates have it"),
    ('{\n  // names\n  "secrets": ["a"]\n}\n', 2, "a comment that begins with /"),
    ('{\n  "secrets": ["a"],\n  /* five */\n  "ttl": "5m"\n}\n', 3, "a comment that begins with /"),
    ("secrets:\n  - 'a\n  - b\nttl: 5m\n", 2, "a single quote that is opened here and never closed"),
    ('secrets:\n  - "a\n  - "b"\nttl: 5m', 2, "a double quote that is opened here and never closed"),
    ("secrets:\n  - 'a\n  - 'b'\n", 2, "a single quote that is opened here and never closed"),
    ("secrets:\n  -\ta\n", 2, "a tab after a dash or a colon"),
    ("ttl:\t5m\n", 1, "a tab after a dash or a colon"),
    ("key: 'x\n---\n", 1, "a single quote that is opened here and never closed"),
    ("secrets:\n  - a\n - b\n", 3, "an indentation that differs from that of the lines above"),
    ("secrets:\n- id: a\n ttl: 5m\n", 3, "an indentation that differs from that of the lines above"),
    ("server:\n  port: 1\n   token: x\n", 3, "a key that is indented more than the line above"),
    ("secrets:\n  - id: a\n     ttl: 5m\n", 3, "a key that is indented more than the line above"),
    ("- a\nb: c\n", 2, "a key where a list's next dash is expected"),
    ("b: c\n- a\n", 2, "a dash where a key is expected"),
    ("a: b: c", 1, "a second colon in one line"),
    ("a: b:", 1, "a second colon in one line"),
    ("secrets:\n  - id:\ta\n", 2, "a tab after a dash or a colon"),
    ("<<<<<<< HEAD\nttl: 5m\n=======\nttl: 6m\n>>>>>>> x\n", 1, "a mark that a merge left"),
    ("secrets: [a]\nttl:5m\n", 2, "text without a colon and a space, where a key is expected"),
    ("ttl 5m\nsecrets: [a]\n", 1, "text without a colon and a space, where a key is expected"),
    ("secrets: [a]\nttl 5m\nbatch: auto\n", 2, "text without a colon and a space, where a key is expected"),
    ("a: *b", 1, "a text that begins with *"),
    ("allow:\n  - *\n", 2, "a text that begins with *"),
    ("a: &", 1, "a text that begins with &"),
    ("a: &b &c d", 1, "the same mark with & twice"),
    ("a: !<x", 1, "a text that begins with !"),
    ("a: !x!y z", 1, "a text that begins with !"),
    ("ttl: @x", 1, "a text that begins with @"),
    ("refresh_ahead: %10", 1, "a text that begins with %"),
    ("%YAML 2.0\n--- a", 1, "a line that begins with %"),
    ("%YAML 1.1\n%YAML 1.1\n--- a", 2, "a line that begins with %"),
    ("a: [", 1, "a bracket that is not closed"),
    ("a:\n  [", 2, "a bracket that is not closed"),
    ("a: {b: c\nttl: 5m\n", 1, "keys in { } that are not closed, or lack a comma"),
    ("secrets: [a, b\nttl: 5m\n", 1, "a list in [ ] that is not closed, or lacks a comma"),
    ("a: ]", 1, "a ] to which nothing belongs"),
    ("secrets: - a", 1, "a dash that begins a list in the middle of a line"),
    ("a: ? b", 1, "a question mark that begins a key"),
    ('a: "\\q"', 1, "an unknown escape with a backslash"),
    ("a: |x\n b", 1, "other text after | or >"),
    ("a: |\n  it 's\nb: c: d", 3, "a second colon in one line"),
    ("secrets: 'a' b\n", 1, "text after a closing quote or bracket"),
    ("ttl:5m\nsecrets: [a]\n", 1, "text without a colon and a space, where a key is expected"),
    ("a\n---\nb", 2, "a second document after ---"),
    ("--- a\n... b", 2, "text after the end of the document"),
]
JARGON = re.compile("block|token|scalar|stream|mapping|node|simple|alias|anchor|flow|sequence|expected <")


@pytest.mark.parametrize(("text", "line", "found"), CASES)
def test_a_mistake_is_described_in_plain_words_where_it_is(text, line, found):
    """The line of the mistake, not the one where the parser noticed it; no word of YAML's grammar."""
    problem = find_problem(read(text))

    assert problem.found.startswith(found)
    assert (line, "") == (problem.line, problem.key)
    assert problem.allowed
    assert not JARGON.search(problem.found + problem.allowed)


GOOD = [
    "secrets:", "  - secret_now", "  - id: prod/db", "    name: db", "server:", "  token: abc", "allow: ['a*', \"b\"]",
]  # fmt: skip


@given(
    number=st.integers(0, len(GOOD) - 1),
    at=st.integers(0, 20),
    broken=st.sampled_from(
        ["\t", "'", '"', "[", "{", "]", "}", ": ", "- ", "*", "&", "!", "%", "@", "|", " ", "? ", ","]
    ),
)
def test_whatever_is_broken_no_word_of_the_grammar_and_no_text_is_shown(number, at, broken):
    """One character or two anywhere in a good file."""
    lines = [line.replace("abc", CANARY) for line in GOOD]
    lines[number] = lines[number][:at] + broken + lines[number][at:]
    for problem in read("\n".join(lines)).problems:
        assert CANARY not in str(problem)
        if not problem.key:
            assert not JARGON.search(problem.found)
            assert problem.line is None or 1 <= problem.line <= len(lines)


def test_an_error_without_a_place_is_one_of_the_whole_text():
    """PyYAML's own errors have one each."""
    assert (None, "text that is not YAML", "one YAML document") == diagnose("", MarkedYAMLError()).args


def test_a_list_that_is_no_list_is_told_how_to_be_one():
    """Keys with values, or one value, where each item needs a dash."""
    expected = "found keys with values; allowed: a list, with a dash and a space before each item"

    assert expected in str(find_problem(read("secrets: {a: b}")))
