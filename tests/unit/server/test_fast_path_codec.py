"""Which requests the fast path parses, and as what."""

import pytest

from secrets_cache.server.fast_path_codec import MAX_REQUEST_BYTES, parse_simple_request

PLAIN = b"GET /cache/text HTTP/1.1\r\nHost: localhost:8080\r\n\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        PLAIN,
        b"GET /ping HTTP/1.1\r\nhost: 127.0.0.1\r\nUser-Agent: curl/8.0\r\nAccept: */*\r\n\r\n",
        b"GET /cache/a%2Fb?key=x HTTP/1.1\r\nHost: [::1]:1\r\nConnection: Keep-Alive\r\nAccept-Encoding: gzip\r\n\r\n",
        b"GET /x HTTP/1.1\r\nAccept-Encoding: identity\r\nHost: h\r\nUser-Agent: x\r\nConnection: close\r\n\r\n",
        b"GET /x HTTP/1.1\r\nhost: h\r\nsec-fetch-mode: cors\r\ntraceparent: 00-1\r\nx-datadog-trace-id: 1\r\n\r\n",
        b"GET /cache/x HTTP/1.1\r\nHost: h\r\nX-Aws-Parameters-Secrets-Token: t\r\nAccept-Language: *\r\n\r\n",
    ],
)
def test_what_common_clients_send_is_parsed(request_bytes):
    """curl, Python, Node.js, Go and Java, with a token and without."""
    assert parse_simple_request(request_bytes) is not None


@pytest.mark.parametrize(
    "request_bytes",
    [
        PLAIN[:-1],
        PLAIN + b"x",
        PLAIN * 2,
        PLAIN.replace(b"GET", b"HEAD"),
        PLAIN.replace(b"Host: localhost:8080", b"User-Agent: x"),
        PLAIN.replace(b"GET", b"get"),
        PLAIN.replace(b"1.1", b"1.0"),
        PLAIN.replace(b"/cache", b"http://localhost/cache"),
        PLAIN.replace(b"/cache", b"//cache"),
        PLAIN.replace(b"/text", b"/te#xt"),
        PLAIN.replace(b"/text", b"/t\xc3\xa9xt"),
        PLAIN.replace(b"\r\n", b"\n"),
        PLAIN.replace(b"Host: ", b"Host:"),
        PLAIN.replace(b"Host: ", b"Host : "),
        PLAIN.replace(b"Host: ", b"Host: \t"),
        PLAIN.replace(b"\r\nHost", b"\r\n Host"),
        PLAIN.replace(b"Host", b"Content-Length: 0\r\nHost"),
        PLAIN.replace(b"Host", b"Transfer-Encoding: chunked\r\nHost"),
        PLAIN.replace(b"Host", b"If-None-Match: *\r\nHost"),
        PLAIN.replace(b"Host", b"Expect: 100-continue\r\nHost"),
        PLAIN.replace(b"Host", b"Via: x\r\nHost"),
        PLAIN.replace(b"Host", b"host: localhost\r\nHost"),
        PLAIN.replace(b"Host", b"Connection: close, x\r\nHost"),
        PLAIN.replace(b"Host", b"Upgrade: websocket\r\nHost"),
        PLAIN.replace(b"localhost", b"localhost" + b"x" * MAX_REQUEST_BYTES),
    ],
    ids=repr,
)
def test_everything_else_is_for_aiohttp(request_bytes):
    """Whatever could change the response, or the connection after it, or is written in any other way."""
    assert parse_simple_request(request_bytes) is None


def test_a_parsed_request_has_what_was_sent():
    """A target, hosts and tokens, as they were sent."""
    parsed = parse_simple_request(PLAIN.replace(b"\r\n\r\n", b"\r\nx-aws-parameters-secrets-token: a b\r\n\r\n"))

    assert parsed is not None
    request, is_last = parsed
    assert not is_last
    assert ("GET", "/cache/text", ["localhost:8080"], ["a b"]) == (
        request.method,
        request.target,
        request.hosts,
        request.tokens,
    )
