"""The value object: nothing shows its value by accident."""

import copy
import pickle

import pytest

from secrets_cache.core.secret import ParameterFacts, Ref, Secret
from tests.support.fakes import CANARY, secret, with_fields


def test_repr_shows_everything_but_the_value():
    """A secret's value is in no repr."""
    shown = repr(secret("db"))

    assert "name='db'" in shown
    assert CANARY not in shown


@pytest.mark.parametrize("write", [str, format, "{}".format, "{0!r:>400}".format, "%s".__mod__, "%r".__mod__, ascii])
def test_no_way_to_write_a_secret_shows_its_value(write):
    """Nor the values of a path's members."""
    path = with_fields(secret("/app/"), members={"/app/a": secret("/app/a")})

    for shown in (write(secret("db")), write(path)):
        assert CANARY not in shown
        assert "Secret(" in shown


def test_a_format_for_numbers_or_texts_is_refused_without_the_value():
    """A secret is neither."""
    with pytest.raises(TypeError) as caught:
        f"{secret('db'):>10}"

    assert CANARY not in str(caught.value)


def test_secrets_are_equal_by_all_their_fields():
    """And equal to nothing else."""
    assert secret("db") == secret("db")
    assert secret("db") != secret("db", "another")
    assert secret("db") != secret("db", version=2)
    assert secret("db") != secret("db").value


def test_a_comparison_that_fails_shows_no_value():
    """A test's failure is written down, too."""
    one, another = secret("db"), secret("db", f"{CANARY}-another")
    with pytest.raises(AssertionError) as caught:
        assert one == another

    assert "Secret(" in str(caught.value)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_is_neither_pickled_nor_copied(copied):
    """A pickle holds every field."""
    with pytest.raises(TypeError, match="a Secret holds a secret: it is neither pickled nor copied"):
        copied(secret("db"))


@pytest.mark.parametrize("taken_apart", [iter, tuple, vars, dict, hash])
def test_a_secret_cannot_be_taken_apart(taken_apart):
    """No loop, no unpacking and no dict of its fields shows the value on the way."""
    with pytest.raises(TypeError) as caught:
        taken_apart(secret("db"))

    assert CANARY not in str(caught.value)
    assert not hasattr(Secret, "_asdict")


def test_refs_differ_by_version():
    """Versions of one secret are different things to ask for."""
    assert 3 == len({Ref("a"), Ref("a", version_id="1"), Ref("a", version_stage="AWSPREVIOUS"), Ref("a")})


@pytest.mark.parametrize(("kind", "is_encrypted"), [("SecureString", True), ("String", False), ("StringList", False)])
def test_only_a_secure_string_is_encrypted(kind, is_encrypted):
    """As AWS names the types."""
    assert is_encrypted is ParameterFacts(kind, 1).is_encrypted


def test_the_source_of_a_reference_never_shows():
    """It is Secrets Manager's whole answer, the secret included."""
    facts = ParameterFacts("SecureString", 0, source_result=CANARY)

    assert CANARY not in repr(facts)
    assert facts == ParameterFacts("SecureString", 0, source_result=CANARY)


def test_a_parameter_may_have_no_value():
    """A secret always has one."""
    parameter = with_fields(secret(), parameter=ParameterFacts("SecureString", 0, has_value=False))

    assert [True, False] == [secret().has_value, parameter.has_value]
