"""
A Secrets Manager of our own, for what moto cannot do: be slow, hang, reset, refuse, answer nonsense; each counted.

It runs in a thread with a loop of its own, so that a test's loop, a frozen process or a child can all ask it.
"""

import asyncio
import base64
import datetime as dt
import ipaddress
import itertools
import json
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.breaking import CANARY

ACCOUNT = "123456789012"
REGION = "eu-west-1"


def arn_of(name: str) -> str:
    """Return the ARN that a secret of this name has here."""
    return f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-AbCdEf"


@dataclass(frozen=True)
class Call:
    """One request that arrived, and on the how manieth connection."""

    operation: str
    arguments: dict[str, Any]
    headers: dict[str, str]
    connection: int = 0

    @property
    def ids(self) -> list[str]:
        """The secrets or parameters it asks for."""
        for one in ("SecretId", "Name", "Path", "RoleArn"):
            if one in self.arguments:
                return [self.arguments[one]]
        several: list[str] = self.arguments.get("SecretIdList") or self.arguments.get("Names") or []
        return several

    @property
    def access_key(self) -> str:
        """Whose signature it has."""
        return self.headers["authorization"].partition("Credential=")[2].partition("/")[0]

    @property
    def region(self) -> str:
        """The region that it was signed for."""
        return self.headers["authorization"].split("/")[2]


@dataclass(frozen=True)
class Answer:
    """
    What is sent back.

    Attributes:
        delay: Seconds before.
        hang: Nothing comes, and the connection stays.
        raw: The body is all that is sent: no head.
        pieces: The body in chunks, one after the other, in place of `body`.
        pause: Seconds after each piece.
        cut: The connection ends within the body.
        reset: It ends with a reset (RFC 9293 section 3.5.2), within the body if `cut`, else before all.
        close: It ends after the answer.
    """

    status: int = 200
    body: bytes = b""
    delay: float = 0.0
    hang: bool = False
    reset: bool = False
    cut: bool = False
    close: bool = False
    raw: bool = False
    headers: tuple[str, ...] = ("Content-Type: application/x-amz-json-1.1",)
    pieces: Callable[[], Iterable[bytes]] | None = None
    pause: float = 0.0


def aws_error(code: str, message: str = "", status: int = 400, **more: Any) -> Answer:
    """Return an error answer in AWS's form."""
    return Answer(status, json.dumps({"__type": code, "message": message}).encode(), **more)


EXPIRED_SIGNATURE = aws_error(
    "InvalidSignatureException", "Signature expired: 20261123T000000Z is now earlier than 20261123T001000Z"
)
ACCESS_DENIED = aws_error("AccessDeniedException", "User: arn:aws:sts::1:role is not authorized")
THROTTLED = aws_error("ThrottlingException", "Rate exceeded")
INTERNAL = aws_error("InternalServiceError", "oops", 500)
HANG = Answer(hang=True)
RESET = Answer(reset=True)
CUT = Answer(cut=True)
RESET_WITHIN = Answer(body=b"{", cut=True, reset=True)
# White space may stand before any JSON: so slow an answer could still become a good one.
DRIP = Answer(pieces=lambda: itertools.repeat(b" "), pause=0.02)
NOT_HTTP = Answer(raw=True, body=b"SSH-2.0-OpenSSH_9.6\r\n", close=True)
REDIRECT = Answer(307, headers=("Location: http://127.0.0.1:9/",))
GARBAGE = Answer(body=b"<html>not from here</html>")
EMPTY = Answer(body=b"{}")

FLOOD_BYTES = 64 * 1024 * 1024


def flood(name: str) -> Answer:
    """Return a good answer, but for its size, that does not tell its size before."""
    start = json.dumps({"ARN": arn_of(name), "Name": name, "VersionId": "v" * 32})[:-1] + ', "SecretString": "'
    piece = b"x" * 65536

    def pieces() -> Iterable[bytes]:
        yield start.encode()
        yield from itertools.repeat(piece, FLOOD_BYTES // len(piece))
        yield b'"}'

    return Answer(pieces=pieces)


Fault = Answer | Callable[[Call], Answer | None]


def write_certificate(folder: Path) -> Path:
    """Write a certificate for 127.0.0.1 that vouches for itself, and its key, into one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a stub")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    file = folder / "stub.pem"
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    file.write_bytes(private + certificate.public_bytes(pem))
    return file


def tls_context(certificate: Path) -> ssl.SSLContext:
    """Return the context of a server with a certificate as `write_certificate` makes it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


def _bound(port: int) -> socket.socket:
    """Return a socket bound to a port that others may be bound to as well; 0 lets the system choose."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound


def _call(headers: dict[str, str], body: bytes, connection: int) -> Call:
    if not body:
        # What a container's endpoint is asked for.
        return Call("GetCredentials", {"Name": "container"}, headers, connection)
    if "x-amz-target" in headers:
        return Call(headers["x-amz-target"].rpartition(".")[2], json.loads(body), headers, connection)
    # The older protocol, STS's: a form.
    form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
    return Call(form["Action"], form, headers, connection)


def _open_connections(server: asyncio.Server) -> int:
    """Return how many are open, by what Python up to 3.12, or from 3.13 on, counts: wait_closed waits only there."""
    return getattr(server, "_active_count", 0) or len(getattr(server, "_clients", ()))


async def _a_few_turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@dataclass
class Upstream:
    """
    The stub. A context manager; `url` is its endpoint.

    Attributes:
        secrets: Values by name; `put` changes one and gives it a new version.
        parameters: Values by name.
        parameter_version: Of all of them.
        now: The time by which the credentials of a role or of a container expire, in seconds since the epoch.
        role_seconds: For how long they are good; each call gives others.
        faults: What to answer instead, one after the other, before anything else.
        fault: What to answer instead, always, once `faults` is used up.
        delay: Seconds before each good answer.
        says_close: Whether each good answer ends its connection, and says so.
        tunnel: The certificate of AWS, where this is a proxy that is asked to CONNECT: it is what it leads to.
        forbids_tunnels: Whether it leads nowhere.
        calls: What arrived.
        sent: How many bytes of answers in pieces were taken.
        connections: How many connections were made so far.
        answered: How many calls have been answered, or cut off, so far.
        arrived: Set when something has.
    """

    secrets: dict[str, tuple[str, str | bytes]] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    parameter_version: int = 1
    now: Callable[[], float] = time.time
    role_seconds: float = 3600.0
    faults: deque[Fault] = field(default_factory=deque)
    fault: Fault | None = None
    delay: float = 0.0
    close_after_answer: bool = False
    says_close: bool = False
    tunnel: Path | None = None
    forbids_tunnels: bool = False
    sent: int = 0
    calls: list[Call] = field(default_factory=list)
    certificate: Path | None = None
    connections: int = 0
    answered: int = 0
    arrived: threading.Event = field(default_factory=threading.Event)
    url: str = ""
    _versions: Iterable[int] = field(default_factory=lambda: itertools.count(1))

    def put(self, name: str, value: str | bytes) -> str:
        """Set a secret's value; return the id of the new version."""
        version_id = f"{next(iter(self._versions)):08d}-0000-4000-8000-000000000000"
        self.secrets[name] = (version_id, value)
        return version_id

    def count(self, name: str = "", operation: str = "GetSecretValue") -> int:
        """Return how many calls of an operation asked for a secret, or for any."""
        return sum(call.operation == operation and (not name or name in call.ids) for call in self.calls)

    def hang_up(self) -> None:
        """Close every connection, as idle ones are closed while a caller is frozen; return when that is done."""

        async def close() -> None:
            for transport in self._transports:
                transport.close()
            await _a_few_turns()

        asyncio.run_coroutine_threadsafe(close(), self._loop).result()

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._thread.start()
        started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self, started: threading.Event) -> None:
        self._loop.run_until_complete(self._serve(started))
        self._loop.close()

    async def _serve(self, started: threading.Event) -> None:
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        # Held: one that still has something to write outlives its task.
        self._transports: set[asyncio.WriteTransport] = set()
        # Bound, but not listening: it keeps the port while nobody listens there.
        with _bound(0) as keeper:
            self.port = keeper.getsockname()[1]
            self._context = None if self.certificate is None else tls_context(self.certificate)
            await self._listen()
            self.url = f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"
            started.set()
            await self._stop.wait()
            await self._close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, sock=_bound(self.port), ssl=self._context)

    async def _close(self) -> None:
        server = self._server
        server.close()
        await _a_few_turns()  # who has just connected gets its task
        for transport in self._transports:
            transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # Those that were aborted, and those whose handshake fails since nobody is there any more.
        for _ in range(200):
            if not _open_connections(server):
                break
            await asyncio.sleep(0.005)

    def refuse(self) -> None:
        """Let connections be refused from now on: all that there are end, and nobody listens."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()

    def accept(self) -> None:
        """Listen again."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    def certify(self, certificate: Path) -> None:
        """Show another certificate to whoever connects from now on."""
        assert self._context is not None
        self._context.load_cert_chain(certificate)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._transports.add(writer.transport)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            connection = self.connections
            while await self._one(reader, writer, connection):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.split(":", 1) for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, value in pairs}
        if self.tunnel is not None and head[0].startswith("CONNECT "):
            if self.forbids_tunnels:
                await self._send(writer, Answer(403))
                return False
            writer.write(b"HTTP/1.1 200 X\r\n\r\n")
            await writer.start_tls(tls_context(self.tunnel))
            return True
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        call = _call(headers, body, connection)
        self.calls.append(call)
        self.arrived.set()
        answer = self._answer(call)
        await asyncio.sleep(answer.delay)
        if answer.hang:
            await asyncio.Event().wait()
        if not answer.reset or answer.cut:
            await self._send(writer, answer)
        if answer.reset:
            ended = writer.get_extra_info("socket")
            ended.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        self.answered += 1
        return not (answer.reset or answer.cut or answer.close or self.close_after_answer or self.says_close)

    async def _send(self, writer: asyncio.StreamWriter, answer: Answer) -> None:
        length = len(answer.body) + (100 if answer.cut else 0)
        framing = f"Content-Length: {length}" if answer.pieces is None else "Transfer-Encoding: chunked"
        close = ("Connection: close",) if self.says_close else ()
        lines = (f"HTTP/1.1 {answer.status} X", *answer.headers, *close, framing, "", "")
        writer.write((b"" if answer.raw else "\r\n".join(lines).encode()) + answer.body)
        await writer.drain()
        if answer.pieces is not None:
            for piece in answer.pieces():
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
                self.sent += len(piece)
                await asyncio.sleep(answer.pause)
            writer.write(b"0\r\n\r\n")
            await writer.drain()

    def _answer(self, call: Call) -> Answer:
        fault = self.faults.popleft() if self.faults else self.fault
        if callable(fault):
            fault = fault(call)
        return self.good(call) if fault is None else fault

    def good(self, call: Call) -> Answer:
        """Return what AWS would answer."""
        if call.operation == "GetSecretValue":
            found = self.find(call.arguments["SecretId"])
            if found is None:
                return aws_error("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
            return Answer(body=json.dumps(found).encode(), delay=self.delay)
        if call.operation == "AssumeRole":
            return self._assumed()
        if call.operation == "GetCredentials":
            return self._given()
        if call.operation.startswith("GetParameter"):
            return self._parameters(call)
        values, errors = [], []
        for secret_id in call.ids:
            found = self.find(secret_id)
            if found is None:
                errors.append({"SecretId": secret_id, "ErrorCode": "ResourceNotFoundException", "Message": "no"})
            else:
                values.append(found)
        return Answer(body=json.dumps({"SecretValues": values, "Errors": errors}).encode(), delay=self.delay)

    def _assumed(self) -> Answer:
        number = self.count("", "AssumeRole")
        return Answer(
            body=f"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
            <Credentials><AccessKeyId>ASIAROLE{number}</AccessKeyId><SecretAccessKey>{CANARY}-{number}</SecretAccessKey>
            <SessionToken>{CANARY}-token-{number}</SessionToken><Expiration>{self._end()}</Expiration></Credentials>
            </AssumeRoleResult></AssumeRoleResponse>""".encode(),
            delay=self.delay,
        )

    def _given(self) -> Answer:
        number = self.count("", "GetCredentials")
        given = {
            "AccessKeyId": f"ASIACONTAINER{number}",
            "SecretAccessKey": f"{CANARY}-{number}",
            "Token": f"{CANARY}-token-{number}",
            "Expiration": self._end(),
        }
        return Answer(body=json.dumps(given).encode(), delay=self.delay)

    def _end(self) -> str:
        return dt.datetime.fromtimestamp(self.now() + self.role_seconds, dt.UTC).isoformat()

    def _parameters(self, call: Call) -> Answer:
        def shown(name: str) -> dict[str, Any]:
            return {
                "ARN": f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{name.removeprefix('/')}",
                "Name": name,
                "Type": "SecureString",
                "Value": self.parameters[name],
                "Version": self.parameter_version,
                "DataType": "text",
                "LastModifiedDate": 1766000000.0,
            }

        if call.operation == "GetParameter":
            (name,) = call.ids
            if name not in self.parameters:
                return aws_error("ParameterNotFound")
            return Answer(body=json.dumps({"Parameter": shown(name)}).encode(), delay=self.delay)
        if call.operation == "GetParameters":
            known = [name for name in call.ids if name in self.parameters]
            invalid = [name for name in call.ids if name not in self.parameters]
            body = {"Parameters": [shown(name) for name in known], "InvalidParameters": invalid}
            return Answer(body=json.dumps(body).encode(), delay=self.delay)
        path, start = call.ids[0].rstrip("/"), int(call.arguments.get("NextToken", "0"))
        below = sorted(name for name in self.parameters if name.startswith(f"{path}/"))
        more = {"NextToken": str(start + 10)} if len(below) > start + 10 else {}
        body = {"Parameters": [shown(name) for name in below[start : start + 10]], **more}
        return Answer(body=json.dumps(body).encode(), delay=self.delay)

    def find(self, secret_id: str) -> dict[str, Any] | None:
        """Return what GetSecretValue answers for an id; None if there is no such secret."""
        for name, (version_id, value) in self.secrets.items():
            if secret_id in {name, arn_of(name)}:
                held = (
                    {"SecretString": value}
                    if isinstance(value, str)
                    else {"SecretBinary": base64.b64encode(value).decode()}
                )
                return {
                    "ARN": arn_of(name),
                    "Name": name,
                    "VersionId": version_id,
                    "VersionStages": ["AWSCURRENT"],
                    "CreatedDate": 1766000000.0,
                    **held,
                }
        return None
