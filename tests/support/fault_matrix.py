"""
What can go wrong between us and AWS, when, and what comes of it: one list, which the tests run and the docs show.

Nothing here asks the code: it says what the code must do. `fault_stage` plays it, `fault_tables` writes it into
docs/reliability.md.
"""

from enum import Enum
from typing import NamedTuple

from tests.support import upstream as stub
from tests.support.upstream import Answer, aws_error


class Kind(Enum):
    """What a failure means: the status of the error, its code, and whether asking again may help."""

    PASSING = (503, "upstream-unavailable", True)
    SILENT = (504, "upstream-timeout", True)
    REFUSED = (502, "upstream-refused", False)
    MISSING = (404, "secret-not-found", False)
    HARMLESS = (200, None, True)

    def __init__(self, status: int, code: str | None, is_passing: bool) -> None:  # noqa: FBT001 - a row of the table
        self.status = status
        self.code = code
        self.is_passing = is_passing


class Speed(Enum):
    """
    How long all the attempts of one fetch take together, besides what AWS itself needs.

    What needs no pause shows in `batch_calls`: only such a batch is tried again.
    """

    ONCE = "one"
    AT_ONCE = "three, no pause"
    PAUSES = "three in 0.3 s"
    THROTTLED = "three in 3 s"
    BUDGET = "`fetch_timeout`"


class Network(Enum):
    """What is wrong before anything is answered."""

    REFUSES = "nobody listens"
    NO_SUCH_NAME = "the name of the endpoint cannot be resolved"
    NO_RESOLVER = "who should resolve it says nothing"
    CERTIFICATE = "the certificate is another one than is trusted"
    NO_TUNNEL = "the proxy answers 403 to CONNECT"


class Route(Enum):
    """How AWS is reached."""

    PLAIN = "by address"
    NAMED = "by name"
    SECURE = "through TLS"
    PROXY = "through a proxy, in the clear"
    TUNNEL = "through a proxy, by CONNECT"


class Fault(NamedTuple):
    """
    One thing that goes wrong.

    Attributes:
        what: In words, for the table.
        code: Of the log line, and `aws_code` of the error.
        calls: How many requests of one fetch arrive at AWS, or at what answers in its place.
        batch_calls: The same for one BatchGetSecretValue.
        how: What AWS answers, or what is wrong with the way to it.
        is_fast: Whether the direct client is taken: a proxy is the library's.
    """

    what: str
    kind: Kind
    code: str
    calls: int
    batch_calls: int
    speed: Speed
    how: Answer | Network
    route: Route = Route.PLAIN

    @property
    def is_fast(self) -> bool:
        """Whether the direct client is taken where it is switched on: through a proxy, it never is."""
        return self.route not in {Route.PROXY, Route.TUNNEL}

    @property
    def is_of_the_network(self) -> bool:
        """Whether no request gets an answer, whatever it asks for."""
        return isinstance(self.how, Network) or self.route is Route.PROXY


KMS_DENIED = aws_error("AccessDeniedException", "Access to KMS is not allowed")
DELETED = aws_error(
    "InvalidRequestException",
    "You can't perform this operation on the secret because it was marked for deletion.",
)
UNDECRYPTED = aws_error("DecryptionFailure", "no")
PROXY_SAYS_NO = Answer(403, b"<html>not through here</html>", headers=("Content-Type: text/html",))
WRONG_TYPE = ("Content-Type: text/html",)
NOT_FOUND = aws_error("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")

_P, _S, _R = Kind.PASSING, Kind.SILENT, Kind.REFUSED
GROUPS: dict[str, tuple[Fault, ...]] = {
    "No way to AWS": (
        Fault("connection refused", _P, "connection-failed", 0, 0, Speed.PAUSES, Network.REFUSES),
        Fault("DNS failure", _P, "connection-failed", 0, 0, Speed.PAUSES, Network.NO_SUCH_NAME, Route.NAMED),
        Fault("TLS failure", _P, "tls-failed", 0, 0, Speed.PAUSES, Network.CERTIFICATE, Route.SECURE),
        Fault("proxy refused", _P, "proxy-failed", 0, 0, Speed.PAUSES, Network.REFUSES, Route.PROXY),
        Fault("CONNECT refused", _P, "proxy-failed", 0, 0, Speed.PAUSES, Network.NO_TUNNEL, Route.TUNNEL),
        Fault("proxy answering 403", _P, "malformed-answer", 3, 1, Speed.PAUSES, PROXY_SAYS_NO, Route.PROXY),
    ),
    "No answer in time": (
        Fault("hang", _S, "timeout", 1, 1, Speed.BUDGET, stub.HANG),
        Fault("DNS not answering", _S, "timeout", 0, 0, Speed.BUDGET, Network.NO_RESOLVER, Route.NAMED),
        Fault("slow drip", _S, "timeout", 1, 1, Speed.BUDGET, stub.DRIP),
    ),
    "Incomplete answer": (
        Fault("reset before the answer", _P, "connection-closed", 3, 3, Speed.AT_ONCE, stub.RESET),
        Fault("reset mid-body", _P, "connection-closed", 3, 3, Speed.AT_ONCE, stub.RESET_WITHIN),
        Fault("end mid-body", _P, "connection-closed", 3, 3, Speed.AT_ONCE, stub.CUT),
    ),
    "Unusable answer": (
        Fault("garbage", _P, "malformed-answer", 3, 1, Speed.PAUSES, stub.GARBAGE),
        Fault("no HTTP", _P, "malformed-answer", 3, 1, Speed.PAUSES, stub.NOT_HTTP),
        Fault("empty JSON", _P, "malformed-answer", 3, 1, Speed.PAUSES, stub.EMPTY),
        Fault("body over 16 MiB", _P, "malformed-answer", 3, 1, Speed.PAUSES, stub.flood("huge")),
        Fault("redirect", _P, "malformed-answer", 3, 1, Speed.PAUSES, stub.REDIRECT),
        Fault("wrong content type", Kind.HARMLESS, "", 1, 1, Speed.ONCE, Answer(headers=WRONG_TYPE)),
    ),
    "AWS fails": (
        Fault("500", _P, "InternalServiceError", 3, 1, Speed.PAUSES, stub.INTERNAL),
        Fault("503", _P, "503", 3, 1, Speed.PAUSES, Answer(503, b"<html>busy</html>")),
        Fault("throttling", _P, "ThrottlingException", 3, 1, Speed.THROTTLED, stub.THROTTLED),
    ),
    "AWS refuses for now": (
        Fault("expired signature", _P, "InvalidSignatureException", 3, 3, Speed.AT_ONCE, stub.EXPIRED_SIGNATURE),
        Fault(
            "expired token",
            _P,
            "ExpiredTokenException",
            3,
            3,
            Speed.AT_ONCE,
            aws_error("ExpiredTokenException", "The security token included in the request is expired"),
        ),
    ),
    "AWS refuses": (
        Fault("access denied", _R, "AccessDeniedException", 1, 1, Speed.ONCE, stub.ACCESS_DENIED),
        Fault("denied by KMS", _R, "AccessDeniedException", 1, 1, Speed.ONCE, KMS_DENIED),
        Fault("decryption failure", _R, "DecryptionFailure", 1, 1, Speed.ONCE, UNDECRYPTED),
        Fault("pending deletion", _R, "InvalidRequestException", 1, 1, Speed.ONCE, DELETED),
        Fault("not found", Kind.MISSING, "ResourceNotFoundException", 1, 1, Speed.ONCE, NOT_FOUND),
    ),
}
FAULTS = tuple(fault for faults in GROUPS.values() for fault in faults)


class Moment(Enum):
    """When it goes wrong. The value is the name of the secret that is asked for then."""

    PREFETCH = "prefetch"
    FIRST = "first"
    AHEAD = "ahead"
    EXPIRED = "expired"
    FORCED = "forced"
    BATCH = "batch"
    # Only BatchGetSecretValue fails, and the calls after it do not: what is wrong with the network has no such moment.
    BATCH_ALONE = "alone"


class Asked(Enum):
    """What is asked for; where it goes wrong, by the call. A role, or a container, gives the credentials."""

    SECRET = "GetSecretValue"
    PARAMETER = "GetParameter"
    ROLE = "AssumeRole"
    CONTAINER = "GetCredentials"

    @property
    def moments(self) -> list["Moment"]:
        """When it is asked for: parameters and roles are listed, and credentials are renewed only near their end."""
        return {
            Asked.PARAMETER: [Moment.PREFETCH, Moment.AHEAD, Moment.EXPIRED, Moment.FORCED],
            Asked.ROLE: [Moment.PREFETCH, Moment.AHEAD, Moment.EXPIRED],
            Asked.CONTAINER: [Moment.EXPIRED],
        }.get(self, list(Moment))


# How many secrets there are in a batch, for one of which somebody asks; different numbers, so that the log tells which.
BATCHED = {Moment.BATCH: 2, Moment.BATCH_ALONE: 3}


class Told(NamedTuple):
    """
    What a caller gets.

    Attributes:
        code: The problem's `code`; None if it is none.
        aws_code: The problem's `aws_code`; None where there is none.
        cache_status: Without the cache's name; None where there is none.
        value: "old", "new", or None.
        may_return: Whether there is a Retry-After of a second or two.
    """

    status: int
    code: str | None = None
    aws_code: str | None = None
    cache_status: str | None = None
    value: str | None = None
    may_return: bool = False


class Logged(NamedTuple):
    """One line of the log from INFO up."""

    level: str
    event: str
    code: str | None = None
    still_served: bool | None = None
    changed: bool | None = None


class Outcome(NamedTuple):
    """
    What happens in one cell.

    Attributes:
        told: The first caller, while it goes wrong.
        waits_for_budget: Whether that caller waits for as long as `fetch_timeout` allows.
        logged: Meanwhile.
        calls: That arrived meanwhile: of BatchGetSecretValue, of GetSecretValue.
        again: Who asks next, within the back-off; AWS is not asked.
        recovered: Who asks after the back-off, when nothing is wrong any more.
        recovered_logged: Then.
        recovered_calls: How many calls that takes.
    """

    told: Told
    waits_for_budget: bool
    logged: tuple[Logged, ...]
    calls: tuple[int, int]
    again: Told
    recovered: Told
    recovered_logged: tuple[Logged, ...]
    recovered_calls: int


WITHOUT_VALUE = (Moment.PREFETCH, Moment.FIRST, Moment.BATCH)
# How the answer came about (RFC 9211), where the value is new.
FORWARDED = {
    Moment.PREFETCH: "fwd=miss",
    Moment.FIRST: "fwd=miss",
    Moment.BATCH: "fwd=miss",
    Moment.BATCH_ALONE: "fwd=miss",
    Moment.EXPIRED: "fwd=stale",
    Moment.FORCED: "fwd=request",
    Moment.AHEAD: "hit",
}
# And where the old one is served in place of a failure that may pass.
BRIDGED = {Moment.AHEAD: "hit", Moment.EXPIRED: "hit; detail=stale", Moment.FORCED: "hit"}


def moments_of(fault: Fault) -> list[Moment]:
    """Return when a fault can be: what answers nothing at all does not spare the calls after a batch."""
    return [moment for moment in Moment if moment is not Moment.BATCH_ALONE or not fault.is_of_the_network]


# What the reader of STS's answers leaves to the library, which makes the call itself.
LEFT_TO_LIBRARY = (stub.GARBAGE, stub.EMPTY, stub.REDIRECT)
# Of the faults: those that only a service with secrets has, and those of a container that have outcomes of their own.
OF_A_SECRET = (KMS_DENIED, DELETED, NOT_FOUND, UNDECRYPTED)
OF_A_CONTAINER = (stub.INTERNAL, stub.RESET, stub.GARBAGE, stub.HANG)


def faults_of(asked: Asked) -> list[Fault]:
    """Return what can go wrong there; of the ways to AWS, which are the same for all services, only the plain one."""
    if asked is Asked.CONTAINER:
        return [fault for fault in FAULTS if fault.how in OF_A_CONTAINER]
    plain = [fault for fault in FAULTS if fault.route is Route.PLAIN and fault.how != stub.DRIP]
    return [fault for fault in plain if asked is not Asked.ROLE or fault.how not in OF_A_SECRET]


def seen(fault: Fault, asked: Asked, *, is_fast: bool) -> Fault:
    """Return a fault as what is asked for sees it."""
    if asked is Asked.ROLE and is_fast and fault.how in LEFT_TO_LIBRARY:
        return fault._replace(calls=2 * fault.calls)
    if asked is Asked.CONTAINER and fault.kind is not Kind.SILENT:
        return fault._replace(kind=Kind.PASSING, code="no-credentials", calls=3)
    # Which of the library's clients waits for the container, and which for AWS, nobody can tell.
    return fault._replace(code="no-credentials") if asked is Asked.CONTAINER and is_fast else fault


def told(fault: Fault, moment: Moment) -> Told:
    """Return what a caller gets while it goes wrong."""
    kind = fault.kind
    if kind is Kind.HARMLESS or moment is Moment.BATCH_ALONE:
        return Told(200, cache_status=FORWARDED[moment], value="old" if moment is Moment.AHEAD else "new")
    if moment is Moment.AHEAD or (kind.is_passing and moment in BRIDGED):
        return Told(200, cache_status=BRIDGED[moment], value="old")
    aws_code = None if kind is Kind.MISSING else fault.code
    return Told(kind.status, kind.code, aws_code, may_return=kind.is_passing)


def told_again(fault: Fault, moment: Moment) -> Told:
    """Return what the next caller gets, while AWS is not asked: the same, but that what is new is now a hit."""
    if fault.kind is Kind.HARMLESS or moment is Moment.BATCH_ALONE:
        return Told(200, cache_status="hit", value="new")
    return told(fault, moment)


def logged(fault: Fault, moment: Moment) -> tuple[Logged, ...]:
    """Return what is in the log from INFO up, sorted."""
    if fault.kind is Kind.HARMLESS:
        had_value = moment in BRIDGED
        return (Logged("INFO", "secret.refreshed", changed=True),) if had_value else ()
    refused = (Logged("WARNING", "batch.refused", fault.code),)
    if moment is Moment.BATCH_ALONE:
        return refused
    # A forced refresh that AWS refuses is an error to who asked, but others still get the fresh value.
    is_served = moment in {Moment.AHEAD, Moment.FORCED} or (moment is Moment.EXPIRED and fault.kind.is_passing)
    line = Logged("WARNING" if is_served else "ERROR", "secret.fetch_failed", fault.code, is_served)
    return (line,) * BATCHED[moment] + refused if moment is Moment.BATCH else (line,)


def calls(fault: Fault, moment: Moment) -> tuple[int, int]:
    """Return how many calls arrive: of BatchGetSecretValue, of GetSecretValue."""
    if moment not in {Moment.BATCH, Moment.BATCH_ALONE}:
        return 0, fault.calls
    if fault.kind is Kind.HARMLESS:
        return 1, 0
    return fault.batch_calls, BATCHED[moment] * (fault.calls if moment is Moment.BATCH else 1)


def recovered(fault: Fault, moment: Moment) -> tuple[Told, int]:
    """Return what a caller gets when all is well again, and how many calls that takes."""
    if moment is Moment.FORCED or (fault.kind is not Kind.HARMLESS and moment is not Moment.BATCH_ALONE):
        return Told(200, cache_status=FORWARDED[moment], value="old" if moment is Moment.AHEAD else "new"), 1
    return Told(200, cache_status="hit", value="new"), 0


def expected(fault: Fault, moment: Moment) -> Outcome:
    """Return what must happen in one cell."""
    fails = fault.kind is not Kind.HARMLESS and moment is not Moment.BATCH_ALONE
    told_then, calls_then = recovered(fault, moment)
    return Outcome(
        told=told(fault, moment),
        waits_for_budget=fault.speed is Speed.BUDGET and moment not in {Moment.AHEAD, Moment.BATCH_ALONE},
        logged=logged(fault, moment),
        calls=calls(fault, moment),
        again=told_again(fault, moment),
        recovered=told_then,
        # The line says that it is well again, and whether the value is another.
        recovered_logged=(Logged("INFO", "secret.refreshed", changed=moment not in WITHOUT_VALUE),) if fails else (),
        recovered_calls=calls_then,
    )
