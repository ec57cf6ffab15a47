"""Names and bounds, in isolation."""

import pytest

from secrets_cache.entries import Entries
from secrets_cache.errors import SecretNotConfigured
from secrets_cache.secret import Ref
from tests.fakes import secret
from tests.test_cache import listed, policy
from tests.upstream import arn_of


def entries(*secrets, allow=(), max_unlisted=10) -> Entries:
    """Return entries for what is listed and allowed."""
    return Entries(secrets, allow, policy(), max_unlisted)


@pytest.mark.parametrize("name", ["prod/a", "prod/a/b", arn_of("shared")])
def test_patterns_allow_names_on_demand(name):
    """A star stands for anything, slashes included; an ARN is matched as it is written."""
    found = entries(allow=("prod/*", "arn:aws:secretsmanager:*:123456789012:secret:shared-*"))

    assert Ref(name) == found.find(name, None, None).ref


@pytest.mark.parametrize("name", ["dev/a", "PROD/a", arn_of("prod/a")])
def test_patterns_allow_nothing_else(name):
    """A pattern for names does not cover the ARN of somebody's secret of that name; case counts."""
    with pytest.raises(SecretNotConfigured):
        entries(allow=("prod/*",)).find(name, None, None)


def test_current_is_the_version_without_a_stage():
    """AWSCURRENT, asked for by its name, is the same entry."""
    found = entries(listed("db"))

    assert found.find("db", None, "AWSCURRENT") is found.find("db", None, None)
    assert Ref("db", version_stage="X") == found.find("db", None, "X").ref
    assert Ref("db", version_id="V") == found.find("db", "V", None).ref


def test_what_is_learned_never_takes_a_listed_name():
    """A secret whose real name is another one's alias does not get it."""
    found = entries(listed("api", "db"), listed(arn_of("api")))

    found.learn(found.find(arn_of("api"), None, None), secret("api"))

    assert Ref("db") == found.find("api", None, None).ref


def test_learning_is_for_entries_that_are_kept():
    """An entry that was evicted meanwhile leaves no name behind."""
    found = entries(allow=("*",), max_unlisted=1)
    gone = found.find("a", None, None)
    found.find("b", None, None)

    found.learn(gone, secret("a"))

    assert not found.knows(arn_of("a"))
