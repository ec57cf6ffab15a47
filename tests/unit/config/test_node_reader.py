"""What a problem shows of a node, and the bound of the work."""

import pytest

from secrets_cache.config.node_reader import MAX_ITEMS
from tests.support.configuration import find_problem, read, read_valid


def test_long_values_are_shortened():
    """A problem is one readable line."""
    assert 70 > len(find_problem(read(f"ttl: {'x' * 5000}")).found)


def test_a_long_value_shows_where_it_is_cut_and_its_end():
    """In the file and in the environment: the end may be what is wrong with it."""
    long = "5m" + "0" * 100 + " or so"
    for config in (read(f"ttl: {long}"), read("", CACHE_TIMEOUT=long)):
        found = find_problem(config).found
        assert found.startswith("'5m000")
        assert found.endswith("000 or so'")
        assert "…" in found


def test_keys_are_shown_shortened_and_in_one_line():
    """Else an alias could turn a small file into hundreds of megabytes of problems."""
    renamed = "env: [{secret: a, rename: {" + "x" * 500 + ": '='}}]"
    config = read(f"{renamed}\n'{'y' * 900}': 1\n" + r'"a\nb\ud800": 1')

    assert [f"env[0].rename.{'x' * 30}…{'x' * 29}", f"{'y' * 30}…{'y' * 29}", r"a\nb\ud800"] == [
        one.key for one in config.problems
    ]
    assert all(str(problem).isprintable() and len(str(problem)) < 500 for problem in config.problems)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("secrets: &a [" + "x," * 6_000 + "]\nparameters: *a\nallow: *a\nenv: *a", "env"),
        (
            "CacheManager: [{secrets: &a [" + "x," * 500 + "]}," + "{secrets: *a}," * 100 + "]",
            "CacheManager[39].secrets",
        ),
        ("- &a {" + "".join(f"k{number}: x," for number in range(300)) + "}\n" + "- *a\n" * 100, "[66]"),
    ],
    ids=["list", "groups", "keys"],
)
def test_the_work_for_the_aliases_of_a_small_file_is_bounded(text, key):
    """Reading ends with one problem at a fixed number of keys and items."""
    config = read(text)

    bound = [problem for problem in config.problems if problem.found == f"more than {MAX_ITEMS}"]
    assert [key] == [problem.key for problem in bound]
    assert f"at most {MAX_ITEMS} items and keys in all" == bound[0].allowed
    assert len(config.problems) <= MAX_ITEMS + 1


def test_as_many_secrets_as_fit_are_read():
    """Each in its long form."""
    text = "secrets:\n" + "".join(f"  - {{id: s{number}, ttl: 5m}}\n" for number in range(4_000))

    assert 4_000 == len(read_valid(text).secrets)
