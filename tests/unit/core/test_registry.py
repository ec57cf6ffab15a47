"""Names and bounds, in isolation."""

import contextlib

import pytest

from secrets_cache.core.freshness import CachedValue
from secrets_cache.core.registry import ListedEntry, Registry
from secrets_cache.core.secret import AwsContext, ParameterFacts, Ref
from secrets_cache.errors import SecretNotConfigured
from tests.support.caches import listed, policy
from tests.support.fakes import FakeClock, secret, with_fields
from tests.support.upstream import arn_of


def entries(*secrets, allow=(), max_unlisted=10) -> Registry:
    """Return entries for what is listed and allowed."""
    return Registry(secrets, allow, policy(), max_unlisted)


def fetched(found: Registry, secret_id: str, name: str = "") -> None:
    """Let an entry hold what AWS gives for its id."""
    entry = found.find_by_name(secret_id, None, None)
    own_name = name or secret_id.rpartition(":")[2].removesuffix("-AbCdEf")
    value = with_fields(secret(own_name), arn=secret_id if name == "" else arn_of(name))
    entry.held = CachedValue(value, FakeClock().now(), 0.0, 0.0)
    found.learn(entry, value)


@pytest.mark.parametrize("name", ["prod/a", "prod/a/b", arn_of("shared")])
def test_patterns_allow_names_on_demand(name):
    """A star stands for anything, slashes included; an ARN is matched as it is written."""
    found = entries(allow=("prod/*", "arn:aws:secretsmanager:*:123456789012:secret:shared-*"))

    assert Ref(name) == found.find_by_name(name, None, None).ref


@pytest.mark.parametrize("name", ["dev/a", "PROD/a", arn_of("prod/a")])
def test_patterns_allow_nothing_else(name):
    """A pattern for names does not cover the ARN of somebody's secret of that name; case counts."""
    with pytest.raises(SecretNotConfigured):
        entries(allow=("prod/*",)).find_by_name(name, None, None)


def test_current_is_the_version_without_a_stage():
    """AWSCURRENT, asked for by its name, is the same entry."""
    found = entries(listed("db"))

    assert found.find_by_name("db", None, "AWSCURRENT") is found.find_by_name("db", None, None)
    assert Ref("db", version_stage="X") == found.find_by_name("db", None, "X").ref
    assert Ref("db", version_id="V") == found.find_by_name("db", "V", None).ref


def test_what_is_learned_never_takes_a_listed_name():
    """A secret whose real name is another one's alias does not get it."""
    found = entries(listed("api", "db"), listed(arn_of("api")))

    found.learn(found.find_by_name(arn_of("api"), None, None), secret("api"))

    assert Ref("db") == found.find_by_name("api", None, None).ref


def test_an_entry_that_left_while_it_was_fetched_comes_back_with_its_value():
    """However many names are asked for at once: what AWS gave is kept, in place of what was used least."""
    found = entries(allow=("*",), max_unlisted=2)
    several = [found.find_by_name(name, None, None) for name in "abc"]

    for entry in several:
        found.learn(entry, secret(entry.name))

    assert several[1:] == list(found.list_all())
    assert Ref("c") == found.find_by_name(arn_of("c"), None, None).ref
    assert several[0] is not found.find_by_name("a", None, None)


def test_entries_without_a_value_displace_few_others():
    """A fifth may be such: what AWS does not know is remembered, and costs no more than that."""
    found = entries(allow=("*",), max_unlisted=10)
    for number in range(10):
        fetched(found, f"db-{number}")
    for number in range(10):
        found.find_by_name(f"nobody-{number}", None, None)

    kept = [entry.name for entry in found.list_all()]
    assert [*(f"db-{number}" for number in range(2, 10)), "nobody-8", "nobody-9"] == kept


def foreign(name: str) -> str:
    """Return the ARN of a secret of this name in somebody else's account."""
    return arn_of(name).replace("123456789012", "999999999999")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_one_name_in_two_accounts_belongs_to_the_first_listed(order):
    """Whichever of them is fetched first; and while that one is not there, to nobody."""
    ids = (arn_of("db"), foreign("db"))
    found = entries(listed(ids[0]), listed(ids[1]))
    for number in order:
        if number == 1:
            with contextlib.suppress(SecretNotConfigured):
                assert Ref(ids[0]) == found.find_by_name("db", None, None).ref
        fetched(found, ids[number])

    assert Ref(ids[0]) == found.find_by_name("db", None, None).ref
    assert Ref(ids[1]) == found.find_by_name(ids[1], None, None).ref


def test_a_foreign_secret_never_answers_to_a_name_that_aws_is_to_resolve():
    """`allow` covers the name: what is meant is this account's."""
    found = entries(listed(foreign("db")), allow=("d*",))

    fetched(found, foreign("db"))

    assert Ref("db") == found.find_by_name("db", None, None).ref


def test_of_two_unlisted_secrets_with_one_name_neither_has_it():
    """Who asked first must not decide what others get."""
    found = entries(allow=("arn:*",))
    fetched(found, arn_of("db"))
    assert Ref(arn_of("db")) == found.find_by_name("db", None, None).ref

    fetched(found, foreign("db"))

    with pytest.raises(SecretNotConfigured):
        found.find_by_name("db", None, None)


def test_a_name_that_one_of_two_secrets_gives_up_is_the_others():
    """What AWS no longer says of one does not stand in the way of the other."""
    found = entries(allow=("arn:*",))
    fetched(found, arn_of("db"))
    fetched(found, foreign("db"))

    fetched(found, foreign("db"), "renamed")

    assert Ref(arn_of("db")) == found.find_by_name("db", None, None).ref
    assert Ref(foreign("db")) == found.find_by_name("renamed", None, None).ref


def test_an_arn_without_its_last_six_characters_has_its_name():
    """Though the name itself ends in a hyphen and six characters; another secret then keeps its own."""
    partial = arn_of("my-secret").removesuffix("-AbCdEf")
    found = entries(listed(partial), listed(arn_of("my")))
    for secret_id, name in ((partial, "my-secret"), (arn_of("my"), "my")):
        fetched(found, secret_id, name)

    assert Ref(partial) == found.find_by_name("my-secret", None, None).ref
    assert Ref(arn_of("my")) == found.find_by_name("my", None, None).ref


def test_what_may_turn_out_to_have_a_name():
    """A listed ARN that ends in it; for an ARN, a listed name that it ends in. Nothing, once that is known."""
    found = entries(listed("db"), listed(arn_of("api")), listed(arn_of("allowed")), allow=("allowed",))

    assert [Ref(arn_of("api"))] == found.list_candidates("api")
    assert [Ref("db")] == found.list_candidates(arn_of("db"))
    for name in ("db", "other", "allowed", arn_of("other")):
        assert [] == list(found.list_candidates(name))
    fetched(found, arn_of("api"))
    assert [] == list(found.list_candidates("api"))


def test_what_a_name_is_known_as():
    """As the configuration names it; what `allow` covers, by its own name or the one asked for; nothing else."""
    found = entries(listed("db", "mine"), PATH, allow=("prod/*", "arn:*"))
    fetched(found, arn_of("other"))

    known = {"mine": "db", "db": "db", "app/x": "/app/", "prod/x": "prod/x", "other": arn_of("other")}
    assert known == {name: found.find_known_name(name) for name in known}
    assert found.find_known_name("unknown") is found.find_known_name("") is None


# Parameters.


PATH = ListedEntry(ref=Ref("/app/", is_parameter=True), names=("/app/", "app/"), policy=policy())
INNER = ListedEntry(ref=Ref("/app/db/", is_parameter=True), names=("/app/db/", "app/db/"), policy=policy())
PARAMETER_ARN = "arn:aws:ssm:eu-west-1:123456789012:parameter"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("/app/x", PATH),
        ("app/x", PATH),
        ("/app/y/z", PATH),
        ("/app/db/x", INNER),
        (f"{PARAMETER_ARN}/app/x", PATH),
        ("/app/", PATH),
        ("app/db/", INNER),
    ],
)
def test_what_is_below_a_path_is_the_innermost_paths(name, path):
    """By any of its names, and before anything was fetched."""
    assert path.ref == entries(PATH, INNER).find_by_name(name, None, None).ref


@pytest.mark.parametrize("name", ["/application", "/other/x", "app", "/app", "arn:", f"{PARAMETER_ARN}/other"])
def test_what_only_begins_alike_is_below_no_path(name):
    """A path ends in its slash."""
    with pytest.raises(SecretNotConfigured):
        entries(PATH).find_by_name(name, None, None)


def test_a_version_of_what_is_below_a_path_is_a_parameter_of_its_own():
    """The path has no versions; its ttl counts."""
    entry = entries(PATH).find_by_name("app/x", "3", None)

    assert Ref("/app/x", "3", is_parameter=True) == entry.ref
    assert PATH.policy == entry.policy


def test_the_arn_of_a_parameter_is_no_secrets():
    """Where a pattern allows it, Parameter Store is asked."""
    found = entries(allow=("arn:aws:ssm:*",)).find_by_name(f"{PARAMETER_ARN}/x", None, None)

    assert Ref(f"{PARAMETER_ARN}/x", is_parameter=True) == found.ref


def test_the_arn_of_a_parameter_may_have_a_selector():
    """The version is part of what is asked for, not of the ARN."""
    found = entries(allow=("arn:aws:ssm:*",)).find_by_name(f"{PARAMETER_ARN}/x:3", None, None)

    assert Ref(f"{PARAMETER_ARN}/x", "3", is_parameter=True) == found.ref


def test_a_listed_parameter_answers_to_the_name_that_its_arn_has():
    """Once it is fetched; before that, callers wait for it."""
    found = entries(ListedEntry(ref=Ref(f"{PARAMETER_ARN}/a/b", is_parameter=True), names=("p",), policy=policy()))

    assert [Ref(f"{PARAMETER_ARN}/a/b", is_parameter=True)] == found.list_candidates("/a/b")


# For callers that may ask for anything.


def test_anything_shares_what_is_listed_under_its_id():
    """And is not served to others because of that."""
    found = entries(listed("db"), PATH)

    assert found.find_by_name("db", None, None) is found.find_by_ref(Ref("db"))
    assert PATH.ref == found.find_by_ref(Ref("/app/x", is_parameter=True)).ref
    assert Ref("db", is_parameter=True) == found.find_by_ref(Ref("db", is_parameter=True)).ref
    assert (
        Ref("/app/x", is_parameter=True, is_decrypted=False)
        == found.find_by_ref(Ref("/app/x", is_parameter=True, is_decrypted=False)).ref
    )
    fetched_any = found.find_by_ref(Ref("other"))
    fetched_any.held = CachedValue(secret("other"), FakeClock().now(), 0.0, 0.0)
    found.learn(fetched_any, secret("other"))
    for name in ("other", arn_of("other")):
        with pytest.raises(SecretNotConfigured):
            found.find_by_name(name, None, None)


def test_a_stage_that_is_listed_under_an_id_is_not_what_the_id_means():
    """AWS would give the current version."""
    staged = ListedEntry(ref=Ref("db", version_stage="AWSPREVIOUS"), names=("db",), policy=policy())

    assert Ref("db") == entries(staged).find_by_ref(Ref("db")).ref
    assert staged.ref == entries(staged).find_by_ref(Ref("db", version_stage="AWSPREVIOUS")).ref


PARAMETER = ListedEntry(ref=Ref("/one", is_parameter=True), names=("/one",), policy=policy())


def undecrypted(name: str) -> Ref:
    """Return what is asked for who wants a parameter as it is stored."""
    return Ref(name, is_parameter=True, is_decrypted=False)


@pytest.mark.parametrize(("kind", "is_shared"), [("String", True), ("SecureString", False)])
@pytest.mark.parametrize(("name", "listed_as"), [("/one", PARAMETER), ("/app/x", PATH)])
def test_an_undecrypted_parameter_is_the_listed_one_if_that_was_never_encrypted(name, listed_as, kind, is_shared):
    """Whether it was, its first fetch tells: until then, callers wait for it."""
    found = entries(PARAMETER, PATH)
    entry = found.find_by_name(name, None, None)
    assert [listed_as.ref] == list(found.list_candidates_of_ref(undecrypted(name)))
    parameter = with_fields(secret(name), parameter=ParameterFacts(kind, 1))
    value = with_fields(parameter, parameter=None, members={name: parameter}) if listed_as is PATH else parameter
    entry.held = CachedValue(value, FakeClock().now(), 0.0, 0.0)

    assert [] == list(found.list_candidates_of_ref(undecrypted(name)))
    assert (listed_as.ref if is_shared else undecrypted(name)) == found.resolve_ref(undecrypted(name))
    a_version = undecrypted(name)._replace(version_id="3")
    assert a_version == found.resolve_ref(a_version)


def test_what_another_role_or_region_asks_for_is_never_what_is_listed():
    """Its answer may be another one."""
    elsewhere = Ref("db", context=AwsContext(region="eu-north-1"))
    found = entries(listed("db"))

    assert elsewhere == found.resolve_ref(elsewhere)
    assert [] == list(found.list_candidates_of_ref(elsewhere))
