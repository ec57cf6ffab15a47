"""The value object."""

from secrets_cache.core.secret import Ref
from tests.support.fakes import CANARY, secret


def test_repr_shows_everything_but_the_value():
    """A secret's value is in no repr."""
    shown = repr(secret("db"))

    assert "name='db'" in shown
    assert CANARY not in shown


def test_refs_differ_by_version():
    """Versions of one secret are different things to ask for."""
    assert 3 == len({Ref("a"), Ref("a", version_id="1"), Ref("a", version_stage="AWSPREVIOUS"), Ref("a")})
