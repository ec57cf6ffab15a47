"""The parser of HTTP/1.1 responses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secrets_cache.http1.connections import MAX_BODY
from secrets_cache.http1.response import BadResponse, Response, ResponseParser
from tests.fuzz.framing import new_parser, parse, until_close
from tests.support.fakes import CANARY

CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 \r\ncontent-length:2\r\nX: a:b\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\n{}\r\n0\r\nTrailer: x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: y\r\nZ: \r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    # Any number of them, also those that no RFC defines (RFC 9110 section 15.2).
    b"HTTP/1.1 199 X\r\nContent-Length: 2\r\n\r\n" * 100 + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
]


@pytest.mark.parametrize("whole", RESPONSES)
def test_a_response_is_whole_when_its_last_byte_is_here(whole):
    """However it was cut on the way."""
    parser = new_parser()
    for end in range(len(whole)):
        assert parse(whole[:end]) is None
        assert parser.feed(whole[end - 1 : end]) is None
    for response in (parse(whole), parser.feed(whole[-1:])):
        assert isinstance(response, Response)
        assert (200, b"{}") == (response.status, response.body)


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body_is_whole_with_its_head(status):
    """Only its status tells."""
    response = parse(f"HTTP/1.1 {status} X\r\n\r\n".encode())

    assert response is not None
    assert (status, b"") == (response.status, response.body)


def test_an_answer_in_small_pieces_costs_no_more_than_in_one():
    """A server that drips must not hold up everything else: no byte is searched twice."""

    class Counting(bytearray):
        """What has been received, and how many of its bytes have been searched for the end of a line."""

        searched = 0

        def find(self, what, start=0, *_):
            self.searched += len(self) - start
            return super().find(what, start)

    head = b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000 + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
    whole = head + b"4E20;" + b"y" * 20_000 + b"\r\n" + b"z" * 20_000 + b"\r\n0\r\n\r\n"
    parser = new_parser()
    parser._received = counting = Counting()  # noqa: SLF001 - how much work it is shows nowhere else
    responses = [parser.feed(whole[at : at + 1]) for at in range(len(whole))]

    assert [None] * (len(whole) - 1) == responses[:-1]
    assert responses[-1] is not None
    assert b"z" * 20_000 == responses[-1].body
    # Each byte when it arrives, with up to three before it that may begin an end.
    assert counting.searched < 5 * len(whole)


@pytest.mark.parametrize(
    ("received", "reason"),
    [
        (b"SSH-2.0-x\r\n", "not an HTTP/1.1 response"),
        (b"HTTP/2 200\r\n\r\n", "not an HTTP/1.1 response"),
        (b"HTTP/1.", None),
        (b"HTTP/1.\r\n\r\n", "status line"),
        (b"HTTP/1.x 200 OK\r\n\r\n", "status line"),
        (b"HTTP/1.1_200 OK\r\n\r\n", "status line"),
        (b"HTTP/1.1  200 OK\r\n\r\n", "status line"),
        (b"HTTP/1.1 two\r\n\r\n", "status line"),
        (b"HTTP/1.1 20\r\n\r\n", "status line"),
        (b"HTTP/1.1 020 OK\r\n\r\n", "status line"),
        (b"HTTP/1.1 2000\r\n\r\n", "status line"),
        (b"HTTP/1.1 2\xb20 X\r\n\r\n", "status line"),
        (b"HTTP/1.1 \xb2\xb2\xb2 OK\r\n\r\n", "status line"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "header line"),
        (b"HTTP/1.1 200 OK\r\n: no name\r\n\r\n", "header line"),
        (b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "header line"),
        (b"HTTP/1.1 200 OK\r\nA\t: b\r\n\r\n", "header line"),
        (b"HTTP/1.1 200 OK\r\n\xc4: b\r\n\r\n", "header line"),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n Content-Length: 0\r\n\r\n", "header line"),
        (b"HTTP/1.1 200 OK\r\nA: b\nContent-Length: 0\r\n\r\n", "line break"),
        (b"HTTP/1.1 200 OK\r\nA: b\rContent-Length: 0\r\n\r\n", "line break"),
        (b"HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n", "NUL"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 1\r\n\r\nx", "more than once"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" + CHUNKED + b"0\r\n\r\n", "more than once"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "not chunked"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding:\x1cchunked\r\n\r\n0\r\n\r\n", "not chunked"),
        *(
            (b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\nabc", "content length")
            for length in (b"-1", b"+1", b"1_0", b"\xb2", b"1, 1", b"")
        ),
        *(
            (b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\n", f"longer than {MAX_BODY} bytes")
            for length in (b"99999999999", b"9" * 5_000, b"%d" % (MAX_BODY + 1))
        ),
        *(
            (b"HTTP/1.1 200 OK\r\n" + CHUNKED + size + b"\r\nabc\r\n", "a chunk has no valid size")
            for size in (b"x", b"-1", b"+1", b"1_0", b"0x1", b"", b" 1", b"1 1", b"9" * 5_000)
        ),
        (b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"fffffffff\r\n", f"longer than {MAX_BODY} bytes"),
        (b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"1\r\nxyz\r\n", "not followed by a line break"),
        (b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"1" * 70_000, "longer than 65536 bytes"),
        (b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"0\r\n" + b"X: y\r\n" * 20_000, "longer than 65536 bytes"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, "longer than 65536 bytes"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", "longer than 65536 bytes"),
    ],
)
def test_what_is_not_a_response_is_refused_at_once(received, reason):
    """The error says what is wrong. To wait for more would only end with the time-out."""
    if reason is None:
        assert parse(received) is None
        return
    with pytest.raises(BadResponse, match=reason):
        parse(received)


def test_a_body_may_be_as_long_as_allowed_and_no_longer():
    """However its length is given: in the head, by chunks, or by the connection's end."""
    for framing in (b"Content-Length: %d\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n%x\r\n", b"X: %d\r\n\r\n"):
        for size in (10, 11):
            parser = ResponseParser(max_head_bytes=100, max_body_bytes=10)
            whole = b"HTTP/1.1 200 OK\r\n" + framing % size + b"b" * size
            if size == 11:
                with pytest.raises(BadResponse, match="the body is longer than 10 bytes"):
                    parser.feed(whole)
                continue
            response = (
                parser.feed(whole) or parser.feed(b"\r\n0\r\n\r\n" if b"chunked" in framing else b"") or parser.end()
            )
            assert response is not None
            assert b"b" * size == response.body


def test_a_body_without_a_length_ends_with_the_connection():
    """One with a length, or in chunks, is then incomplete; so is a head."""
    ended = until_close(b"HTTP/1.1 200 OK\r\n\r\nabc")

    assert ended is not None
    assert b"abc" == ended.body
    for whole in (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"2\r\nab\r\n"):
        for end in range(len(whole)):
            assert until_close(whole[:end]) is None or b"\r\n\r\n" not in whole[:end]
        assert until_close(whole) is None


def test_a_response_shows_its_status_and_sizes_only():
    """Its body may be a secret, and a header a token."""
    response = Response(200, {"a": CANARY, "b": ""}, CANARY.encode())

    assert f"<Response: status 200, 2 headers, {len(CANARY)} bytes>" == repr(response)


def test_what_follows_a_response_changes_nothing_of_it():
    """Whether it comes in the same piece or in the next."""
    for whole in RESPONSES:
        response = parse(whole + b"more\r\n")

        assert isinstance(response, Response)
        assert (200, b"{}") == (response.status, response.body)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_response_or_none_or_a_bad_response(data):
    """Nothing else comes out."""
    for received in (data, b"HTTP/1.1 " + data, b"HTTP/1.1 200 OK\r\n" + data, RESPONSES[2][:48] + data):
        try:
            assert parse(received) is None or parse(received)
        except BadResponse:
            continue
