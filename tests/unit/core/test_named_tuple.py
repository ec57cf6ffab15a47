"""`NamedTuple` in `core` against the one in `typing`, which type checkers take it for."""

import copy
import pickle
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secrets_cache.core import named_tuple


class Ours(named_tuple.NamedTuple):
    """A value with two defaults."""

    name: str
    size: int = 5
    tags: "tuple[str, ...]" = ()

    @property
    def doubled(self) -> int:
        """Twice the size."""
        return self.size * 2


class Theirs(typing.NamedTuple):
    """The same."""

    name: str
    size: int = 5
    tags: "tuple[str, ...]" = ()

    @property
    def doubled(self) -> int:
        """Twice the size."""
        return self.size * 2


VALUES = st.integers() | st.text(max_size=5) | st.tuples(st.integers())


@given(st.lists(VALUES, max_size=4), st.dictionaries(st.sampled_from(["name", "size", "tags", "other"]), VALUES))
def test_it_is_created_as_that_of_typing_is(in_order, by_name):
    """The same values, or a TypeError where that one raises it."""
    try:
        expected = Theirs(*in_order, **by_name)
    except TypeError:
        with pytest.raises(TypeError, match=r"^Ours\(name, size, tags\) got "):
            Ours(*in_order, **by_name)
        return
    created = Ours(*in_order, **by_name)
    assert (tuple(expected), expected._asdict()) == (tuple(created), created._asdict())
    assert (expected.name, expected.size, expected.tags) == (created.name, created.size, created.tags)
    assert repr(expected).replace("Theirs", "Ours") == repr(created)


def test_it_is_a_tuple_with_fields_and_members():
    """Compared, hashed and unpacked as a tuple; a member of the class is one of its values."""
    value = Ours("a", tags=("x",))
    name, size, tags = value

    assert ("a", 5, ("x",), 10) == (name, size, tags, value.doubled)
    assert value == ("a", 5, ("x",))
    assert hash(value) == hash(("a", 5, ("x",)))
    assert Theirs._fields == Ours._fields


class More(Ours):
    """Adds a member, and nothing to the fields."""

    other: str

    @property
    def tripled(self) -> int:
        """Thrice the size."""
        return self.size * 3


def test_a_class_of_it_has_the_same_fields():
    """So may its own subclasses."""
    value = More("a", 2)

    assert ("a", 2, (), 4, 6) == (value.name, value.size, value.tags, value.doubled, value.tripled)
    assert Ours._fields == More._fields
    assert isinstance(value._replace(size=3), More)


def test_it_is_matched_by_position():
    """As type checkers say."""
    match Ours("a", 2):
        case Ours(name, size, tags):
            assert ("a", 2, ()) == (name, size, tags)


def test_it_is_changed_in_a_copy_alone():
    """No field, and nothing else, can be set."""
    value = Ours("a")

    assert Ours("a", 7) == value._replace(size=7)
    assert Ours("a") == value
    with pytest.raises(TypeError):
        value._replace(other=1)  # type: ignore[call-arg]
    for field in ("size", "other"):
        with pytest.raises(AttributeError):
            setattr(value, field, 1)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_copy_is_equal_and_of_the_same_class(duplicate):
    """As of any value."""
    value = Ours("a", 1, ("x",))

    assert (Ours, value) == (type(duplicate(value)), duplicate(value))
