"""Reading the values of variables: from the cache, or from AWS."""

import asyncio
import os

import pytest

from secrets_cache.app import build_cache
from secrets_cache.core.secret import ParameterFacts, Ref, Secret
from secrets_cache.errors import SecretTimeout, ValueMissing
from secrets_cache.variables.reader import SecretReader
from secrets_cache.variables.rules import Wanted
from tests.support import upstream as stub
from tests.support.configuration import read_valid
from tests.support.fakes import CANARY, FakeClock, FakeSource, secret, with_fields


class ReferenceSource(FakeSource):
    """A source of a parameter that refers to a binary secret, and has no value."""

    def _find(self, ref: Ref) -> Secret:
        return with_fields(secret(ref.secret_id), parameter=ParameterFacts("SecureString", 0, has_value=False))


class ParameterSource(FakeSource):
    """A source of parameters, and of paths with nothing in them."""

    def _find(self, ref: Ref) -> Secret:
        if ref.is_path:
            return with_fields(secret(ref.secret_id), members={})
        return with_fields(secret(ref.secret_id, "another value"), parameter=ParameterFacts("String", 1))


async def test_a_parameter_without_a_value_sets_no_variable():
    """An empty value would look like one."""
    config, clock = read_valid("parameters: [/x]"), FakeClock()
    cache = build_cache(config, ReferenceSource(), clock)
    reader = SecretReader(cache=cache, listed=config.listed, environ={}, budget_seconds=5, clock=clock)
    async with reader:
        with pytest.raises(ValueMissing, match="parameter '/x' has no value"):
            await reader.read(Wanted("/x", is_parameter=True))
    await cache.aclose()


@pytest.mark.parametrize("name", ["db", "app/log"])
async def test_a_secret_is_never_a_parameter_of_the_same_name(upstream, name):
    """Over HTTP a parameter's alias, and a name below a path, mean the parameter; a reference says what it means."""
    upstream.put(name, CANARY)
    config, clock = read_valid("parameters: [/app/, {id: /x, name: db}]"), FakeClock()
    cache = build_cache(config, ParameterSource(), clock)
    reader = SecretReader(cache=cache, listed=config.listed, environ=os.environ, budget_seconds=5, clock=clock)
    async with reader:
        assert CANARY.encode() == await reader.read(Wanted(name))
    await cache.aclose()


async def test_a_listed_arn_of_another_region_is_read_from_the_cache():
    """One fetch serves both: AWS is not asked again, and the entry's role counts."""
    arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:db-AbCdEf"
    config, clock, source = read_valid(f"secrets: ['{arn}']"), FakeClock(), FakeSource()
    source.values[arn], source.arns[arn] = 1, arn
    cache = build_cache(config, source, clock)
    reader = SecretReader(cache=cache, listed=config.listed, environ={}, budget_seconds=5, clock=clock)
    async with reader:
        assert f"{CANARY} db 1 None None".encode() == await reader.read(Wanted(arn, region="us-east-1"))
    await cache.aclose()


@pytest.mark.parametrize(
    ("limit_seconds", "setting"), [(0.1, "API_TIMEOUT"), (None, "the default; API_TIMEOUT sets it")]
)
async def test_a_time_out_tells_whether_its_limit_was_set(upstream, limit_seconds, setting):
    """A setting that is nowhere to be found would be looked for."""
    upstream.fault = stub.HANG
    wanted = Wanted("db", budget_seconds=0.1)
    async with SecretReader(
        cache=None, listed=(), environ={}, budget_seconds=5, limit_seconds=limit_seconds, clock=FakeClock()
    ) as reader:
        with pytest.raises(SecretTimeout) as caught:
            await reader.read(wanted)

    assert f"AWS did not answer within 0.1 s ({setting});" in str(caught.value)


async def test_a_path_may_take_as_long_as_the_wrapper_waits():
    """`fetch_timeout` is for callers over HTTP; API_TIMEOUT bounds the wrapper, and may be longer."""
    config, clock, source = read_valid("parameters: [/app/]\nfetch_timeout: 0.1s"), FakeClock(), FakeSource()
    source.values["/app/"] = 1
    source.gate.clear()
    cache = build_cache(config, source, clock)
    reader = SecretReader(
        cache=cache, listed=config.listed, environ={}, budget_seconds=5, limit_seconds=60, clock=clock
    )
    async with reader:
        reading = asyncio.create_task(reader.read(Wanted("/app/", is_parameter=True)))
        with pytest.raises(SecretTimeout):
            await cache.get("/app/")
        assert not reading.done()
        source.gate.set()

        assert CANARY.encode() in await reading
    await cache.aclose()
