"""How a long value is shown, and how advice follows a message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secrets_cache.core.text import CUT, SHOWN_LENGTH, shorten


@pytest.mark.parametrize(
    ("text", "length", "shown"),
    [
        ("", 5, ""),
        ("abcde", 5, "abcde"),
        ("abcdef", 5, "ab…ef"),
        ("abcdef", 4, "ab…f"),
        ("abcdef", 1, "…"),
    ],
)
def test_a_long_text_shows_its_beginning_and_its_end(text, length, shown):
    """A mark stands for what is left out."""
    assert shown == shorten(text, length)


@given(st.text(max_size=3 * SHOWN_LENGTH))
def test_a_text_is_whole_or_marked_as_cut(text):
    """It is never longer than the bound."""
    shown = shorten(text)

    assert len(shown) <= SHOWN_LENGTH
    assert shown == text or (CUT in shown and text.startswith(shown.partition(CUT)[0]))


def test_an_arn_with_something_behind_it_shows_both():
    """The end says what is wrong with it."""
    arn = f"arn:aws:secretsmanager:eu-west-1:123456789012:secret:{'app/' * 20}db-AbCdEf:password::"

    assert shorten(arn).endswith("db-AbCdEf:password::")
