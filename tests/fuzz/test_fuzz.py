"""The fuzz targets: nothing in their corpus, and nothing near it, breaks a rule; and each of them notices if one is."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secrets_cache import config as product
from secrets_cache import wrapper
from secrets_cache.core import json_text
from secrets_cache.errors import VariablesFailed
from secrets_cache.http1 import exchange
from secrets_cache.http1.connections import Response
from secrets_cache.server import fast_path
from secrets_cache.variables.assignments import assigned
from tests.conftest import EXAMPLES
from tests.fuzz.__main__ import main
from tests.fuzz.answers import answers
from tests.fuzz.answers import lane as of_lane
from tests.fuzz.config import config
from tests.fuzz.conversation import conversation, with_lane
from tests.fuzz.environment import environment
from tests.fuzz.framing import parse
from tests.fuzz.platform import platform
from tests.fuzz.request import request, respond
from tests.fuzz.selection import selection
from tests.fuzz.targets import TARGETS
from tests.fuzz.variables import variables
from tests.support.fakes import CANARY

CORPUS = Path(__file__).parent / "corpus"
MAX_FILES = 60
MAX_BYTES = 1024


def kept(target: str) -> list[Path]:
    """Return the files of a target's corpus."""
    return sorted((CORPUS / target).iterdir())


@pytest.mark.parametrize(
    "path", [path for target in TARGETS for path in kept(target)], ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_what_is_kept_breaks_no_rule(path):
    """Each file: a shape that is documented, one that reached code that no other did, or one that broke a rule once."""
    TARGETS[path.parent.name](path.read_bytes())


def test_the_corpus_is_small_and_each_target_has_its_own():
    """It is read by every run of the tests: what matters is kept, not all that was ever found."""
    assert set(TARGETS) == {folder.name for folder in CORPUS.iterdir()}
    for target in TARGETS:
        assert 0 < len(kept(target)) <= MAX_FILES
        assert all(path.stat().st_size <= MAX_BYTES for path in kept(target))


@st.composite
def mutations(draw: st.DrawFn, target: str) -> bytes:
    """Give a kept input with parts of it dropped, replaced, doubled, or exchanged for parts of another."""
    files = st.sampled_from(kept(target)).map(Path.read_bytes)
    data = draw(files)
    for _ in range(draw(st.integers(1, 3))):
        other = draw(st.one_of(files, st.binary(max_size=4), st.just(b"")))
        start, end, left, right = (draw(st.integers(0, MAX_BYTES)) for _ in range(4))
        data = data[:start] + other[left : left + right] + data[start + end % 16 :]
    return data


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=150 * EXAMPLES, deadline=None)
@given(data=st.data())
def test_nothing_near_what_is_kept_breaks_a_rule(target, data):
    """Mutations, and bytes by chance; `make fuzz` tries more of them, and guided by coverage."""
    TARGETS[target](data.draw(st.one_of(mutations(target), st.binary(max_size=100))))


def test_an_input_is_replayed_by_the_name_of_its_target(tmp_path, monkeypatch):
    """Which is how a finding is tried again."""
    monkeypatch.setattr("sys.argv", ["tests.fuzz", "variables", str(tmp_path / "a"), str(tmp_path / "b")])
    (tmp_path / "a").write_bytes(b"as=A\nb")
    with pytest.raises(FileNotFoundError, match="b"):
        main()


# Each target is handed something broken, and must say so.


def of_corpus(target: str, name: str) -> bytes:
    """Return one of the kept inputs."""
    return (CORPUS / target / name).read_bytes()


def shows_what_it_read(data, **more):
    """Tell of a problem with a text that it was not to show."""
    found = product.parse(data, **more)
    problem = product.Problem(file=more["file"], line=1, key="server", found=repr(data)[:200], allowed="less")
    return found._replace(problems=(*found.problems, problem))


def shows_where_it_stopped(data, **more):
    """Quote the text in which the YAML broke off."""
    found = product.parse(data, **more)
    return found._replace(problems=tuple(one._replace(found=f"broken YAML ({data!r})") for one in found.problems))


def says_one_thing_in_many_lines(data, **more):
    """Tell of a problem as it stands in the file."""
    found = product.parse(data, **more)
    return found._replace(problems=tuple(one._replace(key=data.decode()) for one in found.problems))


def is_another_with_the_lane(data, **more):
    """Read something else where the lane does."""
    found = product.parse(data, **more)
    return found if "SECRETS_CACHE_LANES" in more["environ"] else found._replace(port=1)


@pytest.mark.parametrize(
    ("read", "name"),
    [
        (shows_what_it_read, "token-quoted"),
        (shows_what_it_read, "token-without-blank"),
        (shows_where_it_stopped, "broken-near-token"),
        (says_one_thing_in_many_lines, "everything-wrong"),
        (is_another_with_the_lane, "documentation-0"),
        (lambda *given, **more: product.parse(*given, **more)._replace(ttl=0.0), "groups"),
        (lambda *given, **more: product.parse(*given, **more)._replace(log_level=CANARY), "groups"),
    ],
)
def test_a_configuration_that_breaks_a_rule_is_noticed(read, name):
    """A token shown, a problem of several lines, a lane of its own mind, a value out of bounds."""
    with pytest.raises(AssertionError):
        config(of_corpus("config", name), read)


def without(**changes: object) -> Callable[..., object]:
    """Return a server that does not look at a part of what is asked."""
    return lambda asked, tokens: respond(asked._replace(**changes), tokens)


@pytest.mark.parametrize(
    ("name", "server"),
    [
        ("host-foreign", without(hosts=["localhost"])),
        ("forwarded", without(forwarded=[])),
        ("absolute-foreign", without(target="/cache/db")),
        ("absolute-with-user", without(target="/cache/db")),
        ("post", without(method="GET")),
        ("two-tokens", without(tokens=["t-1234"])),
        ("key", lambda asked, _: respond(asked, None)),
        ("python", without(target="/cache/db")),
        ("pointer", without(target="/cache/db")),
        ("unknown-parameter", lambda asked, _: respond(asked, None)._replace(body=CANARY.encode())),
        ("key", lambda asked, tokens: respond(asked, tokens)._replace(status=500)),
    ],
)
def test_a_server_that_breaks_a_rule_is_noticed(name, server):
    """It lets in a stranger, asks for no token, serves what was not asked for, or tells a secret in an error."""
    with pytest.raises(AssertionError):
        request(of_corpus("request", name), respond=server)


@pytest.mark.parametrize("change", [{"target": "/cache/db"}, {"hosts": ["localhost"]}, {"tokens": ["x"]}, None])
def test_a_lane_that_understands_otherwise_is_noticed(change):
    """The target, a host, a token, or whether the connection goes on."""

    def understood(data):
        asked, is_last = fast_path.understood(data) or pytest.fail("it is for the engine")
        return (asked, not is_last) if change is None else (asked._replace(**change), is_last)

    with pytest.raises(AssertionError):
        request(of_corpus("request", "key"), understood)


def complains(data):
    """Say what was sent to whoever reads the log."""
    logging.getLogger("aiohttp.server").warning("what was sent")
    return with_lane(data)


@pytest.mark.parametrize(
    "talk",
    [
        lambda data: with_lane(data.replace(b"password", b"user")),
        lambda data: (with_lane(data)[0], not with_lane(data)[1]),
        lambda data: (with_lane(data)[0].replace(b"ETag", b"Etag"), with_lane(data)[1]),
        lambda data: with_lane(data.replace(b"\0\0", b"\0\0\0\0 ")),
        complains,
    ],
)
def test_a_lane_that_answers_otherwise_is_noticed(talk):
    """Another body, header or end of the connection, a piece that was taken for something else, a word in the log."""
    with pytest.raises(AssertionError):
        conversation(of_corpus("conversation", "split"), talk)


def ends_with_the_bytes(received):
    """Parse only what ends where the response does."""
    response = parse(received)
    return response if response and received.endswith(b"\r\n0\r\n\r\n") else None


def loses_a_byte(received):
    """Parse, but for the last byte of the body."""
    response = parse(received)
    return response and Response(response.status, response.headers, response.body[:-1])


@pytest.mark.parametrize(("name", "parse"), [("chunks-and-more", ends_with_the_bytes), ("secret", loses_a_byte)])
def test_a_client_that_reads_otherwise_is_noticed(name, parse):
    """By how the bytes were cut, or by what the standard library reads."""
    with pytest.raises(AssertionError):
        answers(of_corpus("answers", name), parse)


def another(operation, response):
    """Take one secret for another."""
    secrets = of_lane(operation, response)
    return [one and one._replace(name="other") for one in secrets] if isinstance(secrets, list) else secrets


@pytest.mark.parametrize(
    ("name", "mean"),
    [
        ("secret", another),
        ("batch", another),
        ("secret", lambda *_: "malformed"),
        ("not-found", lambda *_: "malformed"),
        ("not-utf-8", lambda _, response: repr(response.body)),
        ("not-utf-8", lambda *_: f"{CANARY}-session"),
    ],
)
def test_an_answer_that_is_misread_or_shown_is_noticed(name, mean):
    """Another secret, no secret, or an error that quotes the body."""
    with pytest.raises(AssertionError):
        answers(of_corpus("answers", name), mean=mean)


def changed(change):
    """Return what assigns variables, and then changes them."""
    return lambda *given: change(assigned(*given))


@pytest.mark.parametrize(
    ("name", "assign"),
    [
        ("whole", changed(lambda found: {name: value.rstrip() + b"\n" for name, value in found.items()})),
        ("all-keys", changed(lambda found: {**found, b"price": b"1.1"})),
        ("all-keys", changed(lambda found: {**found, b"big": b"1.2345678901234568e+29"})),
        ("all-keys", changed(lambda found: {**found, b"list": b'["a", {"b": "c"}]'})),
        ("all-keys", changed(lambda found: {**found, b"none": b"null"})),
        ("all-keys", changed(lambda found: {**found, b"on": b"True"})),
        ("prefix", changed(lambda found: {name.lower(): value for name, value in found.items()})),
        (
            "reserved",
            lambda rule, *more: assigned(
                rule._replace(spread=rule.spread._replace(allow_reserved=("LD_PRELOAD", "_HANDLER"))), *more
            ),
        ),
        ("names", lambda rule, value, present: assigned(rule, value.replace(b"a=b", b"a"), present)),
        ("kept", lambda rule, value, _: assigned(rule, value, set())),
        ("whole-with-nul", lambda rule, value, _: {rule.spread.as_name.encode(): value}),
        ("text", lambda *_: {}),
    ],
)
def test_variables_that_are_not_exact_are_noticed(name, assign):
    """A blank, a digit, a name, a null, a reserved one, one that was to be kept."""
    with pytest.raises(AssertionError):
        variables(of_corpus("variables", name), assign)


def refuses_with(error):
    """Return what refuses whatever is asked."""

    def refuse(*_):
        raise error

    return refuse


def test_an_error_that_holds_the_value_is_noticed():
    """In its text, or hidden behind it."""
    with pytest.raises(AssertionError):
        variables(of_corpus("variables", "text"), refuses_with(VariablesFailed(CANARY)))
    for error in (json_text.NotJson(CANARY), json_text.NoSuchKey()):
        with pytest.raises(AssertionError):
            selection(of_corpus("selection", "text"), refuses_with(error))


@pytest.mark.parametrize(
    ("name", "found"),
    [("key", ("anika", True)), ("number", ("inf", True)), ("pointer", ("d", False)), ("missing", ("null", True))],
)
def test_a_key_that_is_not_found_exactly_is_noticed(name, found):
    """Not the kind, not the digits, not the place, not there at all."""
    with pytest.raises(AssertionError):
        selection(of_corpus("selection", name), lambda *_: found)


def test_a_platform_that_is_misread_is_noticed():
    """As soon as something has come it counts as all."""
    with pytest.raises(AssertionError):
        platform(
            of_corpus("platform", "until-close"), lambda received, **_: exchange.response_in(received, is_all=True)
        )


def test_a_wrapper_that_tells_more_than_it_must_is_noticed():
    """Of the function's environment the extension has no business with."""
    with pytest.raises(AssertionError):
        environment(of_corpus("environment", "lambda"), lambda environ: wrapper.request({**environ, b"A": b"ssm://x"}))
    with pytest.raises(AssertionError):
        environment(
            of_corpus("environment", "lambda"), lambda environ: b"\0".join(b"=".join(one) for one in environ.items())
        )
