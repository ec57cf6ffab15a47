"""Requests in our own protocol: which ones are understood, and what is said of the others."""

import contextlib
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secrets_cache.errors import InvalidRequest
from secrets_cache.server.native_request import NativeRequest, parse_native_request
from secrets_cache.server.target import split_target


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/cache/json?kye=user", "unknown parameter 'kye'; allowed: key, version_stage, version_id, refresh"),
        ("/cache/json?key=a&key=b", "parameter 'key' is given more than once"),
        ("/cache/json?refresh=maybe", "parameter 'refresh' must be one of true, 1, false, 0"),
        ("/cache/json?refresh", "parameter 'refresh' must be one of"),
        ("/cache/json?key=", "parameter 'key' is empty"),
        ("/cache/json?key=/a~2", "~ must be followed by 0 or 1"),
        ("/cache/json?version_id=", "parameter 'version_id' must be 1 to 256 printable ASCII characters"),
        ("/cache/json?version_stage=a%20b", "parameter 'version_stage' must be"),
        ("/cache/json?key=%zz", "a percent sign must be followed by two hexadecimal digits"),
        ("/cache/js%", "a percent sign must be followed"),
        ("/cache/%ff", "must be UTF-8 text after percent-decoding"),
        ("/cache/%c0%af", "must be UTF-8 text after percent-decoding"),
        ("/cache/text?key=user", "needs a secret that is a JSON object"),
        ("/cache/binary?key=user", "needs a secret that is a JSON object"),
        ("/cache/list?key=user", "needs a secret that is a JSON object"),
    ],
)
async def test_requests_that_cannot_be_meant(running, path, detail):
    """400, and what is wrong."""
    details = await running.problem(path)

    assert (400, "invalid-request") == (details["status"], details["code"])
    assert detail in details["detail"]


@given(st.text(min_size=1), st.text(min_size=1).filter(lambda key: not key.startswith("/")))
def test_any_name_and_key_survive_percent_encoding(name, key):
    """A name or key that a client encodes is decoded to the same text."""
    path, query = split_target(f"/cache/{quote(name, safe='')}?{urlencode({'key': key})}")

    assert NativeRequest(name=name, key=key) == parse_native_request(path, query)


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E)))
def test_any_target_is_parsed_or_refused(text):
    """A target raises InvalidRequest or nothing, whatever is in it."""
    path, query = split_target(text)
    assert path.startswith("/") or not text.startswith("/")
    with contextlib.suppress(InvalidRequest):
        assert isinstance(parse_native_request(path, query), NativeRequest)
