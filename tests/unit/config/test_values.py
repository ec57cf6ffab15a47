"""The types of value; most are tested by the settings that have them."""

import pytest

from secrets_cache.config.values import InvalidValue, Whole
from tests.support.configuration import read_valid


@pytest.mark.parametrize(("text", "share"), [("0", 0), ("0%", 0), ("0.0", 0), ("12.5%", 0.125), ("90%", 0.9)])
def test_refresh_ahead_is_a_percentage_or_0(text, share):
    """Zero, however it is written, switches it off."""
    assert share == read_valid(f"refresh_ahead: {text}").refresh_ahead


def test_a_whole_number_has_bounds():
    """And no sign, no point and no exponent; what is allowed is said with the same bounds."""
    number = Whole(1, 300)

    assert "a whole number from 1 to 300" == number.allowed
    assert [1, 300] == [number.parse("1"), number.parse("300")]
    for text in ("0", "301", "-1", "1.0", "1e1", "", "\u0663", "9" * 20):
        with pytest.raises(InvalidValue):
            number.parse(text)
