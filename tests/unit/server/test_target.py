"""The request target: path, query and host, in any form that HTTP has for them."""

import pytest

from secrets_cache.errors import InvalidRequest
from secrets_cache.server.target import decode, find_authority, split_query, split_target
from tests.support.http_server import encoded
from tests.support.upstream import arn_of


@pytest.mark.parametrize(
    "path",
    [
        "/cache/prod/db",
        "/cache/prod%2Fdb",
        "/cache/prod%2fdb",
        "/cache/%70rod/db",
        f"/cache/{arn_of('prod/db')}",
        "/cache/" + arn_of("prod/db").replace(":", "%3A").replace("/", "%2F"),
    ],
)
async def test_names_may_be_raw_or_percent_encoded(running, path):
    """Slashes and colons either way; the ARN is known once the secret was fetched."""
    assert (200, encoded("prod/db")) == (await running.get(path))[::2]


@pytest.mark.parametrize(
    ("url", "host", "status"),
    [
        ("http://localhost/ping", "localhost", 200),
        ("http://[::1]:8080/cache/json?key=user", "localhost", 200),
        ("http://elsewhere/ping", "localhost", 403),
        ("http://elsewhere?/ping", "localhost", 403),
        ("http://localhost@elsewhere/ping", "localhost", 403),
        ("http://user@localhost/ping", "localhost", 403),
        ("http://localhost/ping", "elsewhere", 403),
    ],
)
async def test_the_absolute_form_of_a_target_is_its_path_and_its_host(running, url, host, status):
    """The host in the target takes precedence over Host (RFC 9112 section 3.2.2); neither may name another machine."""
    answer = await running.raw(f"GET {url} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())

    assert answer.startswith(f"HTTP/1.1 {status}".encode())


@pytest.mark.parametrize(
    ("target", "path", "query", "authority"),
    [
        ("/a/b?c=d?e", "/a/b", "c=d?e", None),
        ("//a", "//a", "", None),
        ("http://localhost:1/a?b", "/a", "b", "localhost:1"),
        ("http://localhost", "/", "", "localhost"),
        ("/a?http://b", "/a", "http://b", None),
        ("*", "*", "", None),
    ],
)
def test_a_target_has_a_path_a_query_and_sometimes_a_host(target, path, query, authority):
    """Nothing is normalised, and only the absolute form has a host."""
    assert (path, query) == split_target(target)
    assert authority == find_authority(target)


def test_a_plus_is_a_space_only_where_the_protocol_says_so():
    """Names hold no spaces, keys may."""
    assert ("a b", "a+b") == (decode("a+b", plus_is_space=True), decode("a+b"))
    assert [("a b", "c+d")] == list(split_query("a+b=c+d&", plus_is_space=True))


@pytest.mark.parametrize("text", ["%", "%zz", "a%2", "%ff", "\udc80"])
def test_an_escape_that_cannot_be_decoded_is_an_error(text):
    """Of the request, and never ignored."""
    with pytest.raises(InvalidRequest):
        decode(text)
