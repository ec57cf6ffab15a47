"""Reading the values of variables: from the cache, or from AWS."""

import pytest

from secrets_cache.core.cache import Cache
from secrets_cache.core.secret import ParameterFacts, Ref, Secret
from secrets_cache.errors import SecretTimeout, ValueMissing
from secrets_cache.variables.reader import SecretReader
from secrets_cache.variables.rules import Wanted
from tests.support import upstream as stub
from tests.support.configuration import read_valid
from tests.support.fakes import FakeClock, FakeSource, secret, with_fields


class ReferenceSource(FakeSource):
    """A source of a parameter that refers to a binary secret, and has no value."""

    def _find(self, ref: Ref) -> Secret:
        return with_fields(secret(ref.secret_id), parameter=ParameterFacts("SecureString", 0, has_value=False))


async def test_a_parameter_without_a_value_sets_no_variable():
    """An empty value would look like one."""
    config, clock = read_valid("parameters: [/x]"), FakeClock()
    cache = Cache(
        listed=config.entries(),
        allow=(),
        policy=config.freshness(),
        source=ReferenceSource(),
        clock=clock,
        random=lambda: 0.5,
    )
    reader = SecretReader(cache=cache, listed=config.listed, environ={}, budget_seconds=5, clock=clock)
    async with reader:
        with pytest.raises(ValueMissing, match="parameter '/x' has no value"):
            await reader.read(Wanted("/x", is_parameter=True))
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

    assert str(caught.value).endswith(f"AWS did not answer within 0.1 s ({setting})")
