"""The fuzz targets: nothing in their corpus, and nothing near it, breaks a rule; and each of them notices if one is."""

from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secrets_cache import config as product
from tests.conftest import EXAMPLES
from tests.fuzz.answers import answers
from tests.fuzz.aws_request import aws_request
from tests.fuzz.aws_request import respond as respond_as_aws
from tests.fuzz.config import config
from tests.fuzz.conversation import conversation, with_fast_path
from tests.fuzz.environment import environment
from tests.fuzz.platform import platform, read
from tests.fuzz.request import replaced, request, respond
from tests.fuzz.selection import selection
from tests.fuzz.targets import TARGETS
from tests.fuzz.variables import variables

CORPUS = Path(__file__).parent / "corpus"
MAX_FILES = 60
MAX_BYTES = 1024


def kept(target: str) -> list[Path]:
    """Return the files of a target's corpus."""
    return sorted((CORPUS / target).iterdir())


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_kept_breaks_no_rule(target):
    """Each file: a shape that is documented, one that reached code that no other did, or one that broke a rule once."""
    for path in kept(target):
        try:
            TARGETS[target](path.read_bytes())
        except Exception as error:
            error.add_note(f"Again: .venv/bin/python -m tests.fuzz {target} {path}")
            raise


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


def without_host(asked, tokens):
    """Answer whoever asks, whatever host the request names."""
    return respond(replaced(asked, hosts=["localhost"]), tokens)


def without_token(asked, tokens):
    """Answer in AWS's protocol, whatever token the request has."""
    return respond_as_aws(replaced(asked, tokens=["t-1234"]), tokens)


def without_ttl(data, **more):
    """Read a configuration; whatever it says, its ttl is none."""
    return product.parse(data, **more)._replace(ttl=0.0)


# For each target an input of its corpus, and something broken that it must find fault with.
BROKEN = {
    "answers": ("secret", partial(answers, mean=lambda *_: "malformed")),
    "aws_request": ("token-wrong", partial(aws_request, respond=without_token)),
    "config": ("groups", partial(config, read=without_ttl)),
    "conversation": (
        "split",
        partial(conversation, talk=lambda data: with_fast_path(data.replace(b"password", b"user"))),
    ),
    "environment": (
        "lambda",
        partial(environment, request=lambda environ: b"\0".join(map(b"=".join, environ.items()))),
    ),
    "platform": ("until-close", partial(platform, read=lambda data, **_: read(data, is_all=True))),
    "request": ("host-foreign", partial(request, respond=without_host)),
    "selection": ("number", partial(selection, choose=lambda *_: ("inf", True))),
    "variables": ("text", partial(variables, assign=lambda *_: ({}, []))),
}


@pytest.mark.parametrize("target", TARGETS)
def test_each_target_notices_something_broken(target):
    """A target that finds no fault with anything would prove nothing."""
    name, run = BROKEN[target]
    with pytest.raises(AssertionError):
        run((CORPUS / target / name).read_bytes())
