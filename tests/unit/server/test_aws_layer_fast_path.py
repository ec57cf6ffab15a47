"""The answer lane in front of the protocol of AWS's layer: nobody could tell it from the engine."""

import asyncio
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secrets_cache.config import AwsLayer
from secrets_cache.core.secret import AwsContext
from secrets_cache.server.aws_layer import MAX_PLACES, AwsLayerHandler
from secrets_cache.server.handler import Handler
from tests.conftest import EXAMPLES
from tests.support.aws_layer_table import PARAMETER, ROLE, SECRET
from tests.support.fakes import FakeClock
from tests.support.upstream import REGION, arn_of
from tests.unit.server.test_fast_path import ask, conversations, on_both
from tests.unit.server.test_server import Setup

pytestmark = pytest.mark.usefixtures("remembering")

TOKEN = "X-Aws-Parameters-Secrets-Token: t"


class LayerSetup(Setup):
    """The same server, but for what replies."""

    layer = AwsLayer()

    def replies(self) -> Handler:
        return AwsLayerHandler(
            cache=self.cache, tokens=self.tokens or ("t",), layer=self.layer, region=REGION, clock=self.clock
        )


def get(target: str, *headers: str) -> bytes:
    """Return the bytes of a request with the right token."""
    lines = [f"GET {target} HTTP/1.1", "Host: localhost:2773", TOKEN, *headers, "", ""]
    return "\r\n".join(lines).encode()


TARGETS = st.one_of(
    st.sampled_from(
        [
            SECRET + "text",
            SECRET + "prod/db",
            SECRET + "prod%2Fdb",
            SECRET + "binary",
            SECRET + arn_of("json"),
            SECRET + arn_of("json").replace(":", "%3A"),
            SECRET + "nobody",
            SECRET + "text&versionStage=AWSPREVIOUS",
            SECRET + "text&versionId=" + "0" * 32,
            SECRET + "text&refreshNow=true",
            SECRET + "text&roleArn=" + ROLE,
            SECRET + "text&x=1",
            SECRET + "te%zzxt",
            SECRET + "%ff",
            SECRET,
            "/secretsmanager/get/?secretId=text",
            "/secretsmanager/get",
            PARAMETER + "text",
            PARAMETER + "text&withDecryption=true",
            PARAMETER + "%2Fa%2F",
            "/v1/text",
            "/v1/",
            "/ping",
            "/ping?x",
            "/cache/text",
            "*",
            "http://localhost" + SECRET + "text",
            "http://example.org" + SECRET + "text",
        ]
    ),
    st.text("secretsmanager/get?Id=text%2F:&v1.", max_size=30).map(lambda text: "/" + text),
    st.text("text%2F:&=+versonIdStage", max_size=20).map(lambda text: SECRET + text),
)


@settings(max_examples=40 * EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(talks=st.lists(conversations(TARGETS), min_size=1, max_size=3))
def test_any_conversation_goes_as_with_the_engine(talks):
    """The same statuses, headers and bodies, and the connection is afterwards open, or not, as there."""
    through_lane, through_engine = asyncio.run(on_both(talks, LayerSetup))

    for ours, theirs, pieces in zip(through_lane, through_engine, talks, strict=True):
        if ours is not None and theirs is not None:
            assert vars(theirs) == vars(ours), pieces


async def test_what_is_good_goes_as_with_the_engine():
    """Each of the targets above with the right token, which chance seldom sends."""
    targets = [SECRET + "text", SECRET + arn_of("binary"), SECRET + "prod%2Fdb", PARAMETER + "text", "/v1/json"]
    talks = [[get(target), get(target), get(target, "X-Vault-Token: t"), get(target)] for target in targets]

    through_lane, through_engine = await on_both(talks, LayerSetup)

    assert None not in through_lane
    assert through_engine == through_lane
    statuses = [reply[0].split()[1] for one in through_lane if one is not None for reply in one.replies[:4]]
    assert [b"200", b"200", b"403", b"200"] * len(targets) == statuses


async def heads(*, has_lane: bool) -> list[bytes]:
    """Return the heads of the answers to one request, again and again while time goes by."""
    setup = LayerSetup(FakeClock())
    setup.has_lane = has_lane
    async with setup.running():
        await setup.cache.prefetch()
        caller = await setup.connect()
        found = []
        for seconds in (0, 0, 10, 100):
            setup.clock.tick(seconds)
            found.append(await caller.answer(get(SECRET + "text")))
            await caller.skip_body(found[-1])
        return found


async def test_what_is_remembered_is_what_would_be_answered_anew():
    """To each header: the time that a value was had does not depend on who remembers it."""
    through_lane, through_engine = await heads(has_lane=True), await heads(has_lane=False)

    assert [sorted(head.split(b"\r\n")) for head in through_engine] == [
        sorted(head.split(b"\r\n")) for head in through_lane
    ]
    assert 1 == len({line for head in through_lane for line in re.findall(rb"Date: .*", head)})


@pytest.fixture(name="served")
async def _served(clock):
    setup = LayerSetup(clock)
    async with setup.running():
        await setup.cache.prefetch()
        yield setup


async def test_a_hit_of_what_is_listed_is_remembered(served):
    """And counts as a hit, as any other; the next fetch ends it."""
    request = get(SECRET + "text")
    for _ in range(3):
        assert (b"HTTP/1.1 200 OK", b"secrets-cache; hit") == (await ask(served, request))[:2]
    assert 3 == served.cache.counts.hits
    assert [request] == list(served.server.lane.remembered)

    served.source.values["text"] = 2
    await ask(served, get(SECRET + "text&refreshNow=true"))
    assert b'"VersionId":"version-2"' in await served.raw(get(SECRET + "text", "Connection: close"))


async def test_a_remembered_hit_ends_with_the_layers_ttl(clock):
    """Though the secret's own is longer."""
    setup = LayerSetup(clock)
    setup.layer = AwsLayer(secret_ttl=60.0)
    async with setup.running():
        await setup.cache.prefetch()
        for _ in range(2):
            await ask(setup, get(SECRET + "text"))
        clock.tick(60)
        assert b"secrets-cache; fwd=stale" == (await ask(setup, get(SECRET + "text")))[1]


async def test_with_a_ttl_of_0_nothing_is_remembered(clock):
    """Nor where the cache is off, in either way."""
    for layer in (AwsLayer(secret_ttl=0.0), AwsLayer(is_cached=False), AwsLayer(cache_size=0)):
        setup = LayerSetup(clock)
        setup.layer = layer
        async with setup.running():
            for _ in range(2):
                await ask(setup, get(SECRET + "text"))
            assert {} == setup.server.lane.remembered


async def test_another_token_is_another_request(served):
    """What was remembered for one that is right is not given for one that is wrong."""
    for _ in range(2):
        await ask(served, get(SECRET + "text"))

    assert b"HTTP/1.1 403 Forbidden" == (await ask(served, get(SECRET + "text").replace(b": t\r", b": u\r")))[0]


async def test_more_than_twenty_places_are_refused(served):
    """Each role and each region has connections of its own. Those that are there go on, the function's own always."""
    served.source.values["new"] = 1
    roles = [f"{SECRET}new&roleArn={ROLE}-{number}" for number in range(MAX_PLACES - 1)]
    elsewhere = SECRET + arn_of("new").replace(REGION, "us-east-1")
    served.source.values[arn_of("new").replace(REGION, "us-east-1")] = 1
    for target in (*roles, elsewhere):
        assert b" 200 " in (await ask(served, get(target)))[0]
    refused = await served.raw(get(f"{SECRET}new&roleArn={ROLE}-x", "Connection: close"))
    assert refused.startswith(b"HTTP/1.1 400 ")
    assert b'{"__type":"MaxRolesExceeded","message":"allowed: 20 roles and regions"}' in refused
    for target in (roles[0], elsewhere, SECRET + "new", SECRET + arn_of("text")):
        assert b" 200 " in (await ask(served, get(target)))[0]

    accesses = {ref.access for ref in served.source.fetched}
    assert MAX_PLACES == len(accesses)  # the region is the ARN's
    assert AwsContext(role_arn=f"{ROLE}-x") not in accesses
