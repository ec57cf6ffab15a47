"""The requests that published code sends to AWS's layer, byte for byte, and what each does with the answer."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass

TOKEN = "{token}"


@dataclass(frozen=True)
class Client:
    """
    One of them.

    Attributes:
        name: What it is, and in which HTTP library it asks.
        request: What it sends, with bars between the lines; `{token}` stands for the session token.
        reads: Takes the value out of a status and a body as the client does; raises as it would.
    """

    name: str
    request: str
    reads: Callable[[int, bytes], object]

    def sent(self, token: str) -> bytes:
        """Return the bytes."""
        return "\r\n".join([*self.request.split(" | "), "", ""]).replace(TOKEN, token).encode()


def when_ok(status: int, body: bytes) -> dict[str, object]:
    """Return what the body means, as clients do that look at the status alone."""
    assert 200 <= status < 300
    found: dict[str, object] = json.loads(body)
    return found


def secret_string(status: int, body: bytes) -> object:
    """Return the secret's text."""
    return when_ok(status, body)["SecretString"]


def secret_parsed(status: int, body: bytes) -> object:
    """Return the secret's text, as JSON if it is some."""
    text = secret_string(status, body)
    assert isinstance(text, str)
    try:
        return json.loads(text)
    except ValueError:
        return text


def secret_typed(status: int, body: bytes) -> object:
    """Return the secret's text, of an answer that has neither fewer nor other keys than were declared."""
    found = when_ok(status, body)
    kinds = {
        "ARN": str,
        "CreatedDate": str,
        "Name": str,
        "SecretBinary": type(None),
        "SecretString": str,
        "VersionId": str,
        "VersionStages": list,
        "ResultMetadata": dict,
    }
    assert kinds == {key: type(value) for key, value in found.items()}
    return found["SecretString"]


def secret_of_agent(status: int, body: bytes) -> object:
    """Return the secret, text or bytes, as clients of the agent do, who find one of the two."""
    found = when_ok(status, body)
    return found.get("SecretString") or base64.b64decode(str(found["SecretBinary"])).decode()


def parameter_value(status: int, body: bytes) -> object:
    """Return the parameter's value."""
    parameter = when_ok(status, body)["Parameter"]
    assert isinstance(parameter, dict)
    return parameter["Value"]


SECRET = "GET /secretsmanager/get?secretId=prod/api HTTP/1.1"
ENCODED = "GET /secretsmanager/get?secretId=prod%2Fapi HTTP/1.1"
PARAMETER = "GET /systemsmanager/parameters/get?name=%2Fapp%2Fplain HTTP/1.1"
HOST = "Host: localhost:2773"
HEADER = f"X-Aws-Parameters-Secrets-Token: {TOKEN}"

CLIENTS = (
    Client(
        "Middy, secrets-manager-extension (the fetch of Node.js): slashes and colons as they are",
        (
            f"{SECRET} | {HOST.lower()} | connection: keep-alive | {HEADER} | accept: */* | accept-language: * | "
            "sec-fetch-mode: cors | user-agent: node | accept-encoding: gzip, deflate"
        ),
        secret_parsed,
    ),
    Client(
        "secretlamb (Go, net/http)",
        f"{ENCODED} | {HOST} | User-Agent: Go-http-client/1.1 | {HEADER} | Accept-Encoding: gzip",
        secret_string,
    ),
    Client(
        "secretlamb, a parameter (Go, net/http): its keys in alphabetical order",
        (
            f"GET /systemsmanager/parameters/get?name=%2Fapp%2Fplain&withDecryption=true HTTP/1.1 | {HOST} | "
            f"User-Agent: Go-http-client/1.1 | {HEADER} | Accept-Encoding: gzip"
        ),
        parameter_value,
    ),
    Client(
        "aws-parameters-and-secrets-lambda (Rust, reqwest)",
        f"{SECRET} | {HEADER.lower().replace(TOKEN.lower(), TOKEN)} | accept: */* | {HOST.lower()}",
        secret_string,
    ),
    Client(
        "AWS's sample for parameters (Python, urllib): the header's name in its own way, a connection for each request",
        (
            f"{PARAMETER} | Accept-Encoding: identity | {HOST} | User-Agent: Python-urllib/3.13 | "
            f"X-aws-parameters-secrets-token: {TOKEN} | Connection: close"
        ),
        parameter_value,
    ),
    Client(
        "AWS's sample for secrets (Python, requests)",
        (
            f"{SECRET} | {HOST} | User-Agent: python-requests/2.32.3 | Accept-Encoding: gzip, deflate | Accept: */* | "
            f"Connection: keep-alive | {HEADER}"
        ),
        secret_string,
    ),
    Client(
        "urllib3 in AWS's compute blog: its own headers, few of them",
        f"{PARAMETER} | {HOST} | Accept-Encoding: identity | User-Agent: python-urllib3/2.2.1 | {HEADER}",
        parameter_value,
    ),
    Client(
        "a CDK test stack (axios), which declares each field",
        (
            f"{ENCODED} | Accept: application/json, text/plain, */* | {HEADER} | User-Agent: axios/1.7.2 | "
            f"Accept-Encoding: gzip, compress, deflate, br | {HOST} | Connection: close"
        ),
        secret_typed,
    ),
    Client(
        "Java's HttpClient, which offers HTTP/2",
        (
            "GET /systemsmanager/parameters/get/?name=plain&withDecryption=true HTTP/1.1 | "
            f"Connection: Upgrade, HTTP2-Settings | Content-Length: 0 | {HOST} | "
            "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA | Upgrade: h2c | "
            f"User-Agent: Java-http-client/17.0.15 | {HEADER}"
        ),
        parameter_value,
    ),
    Client(
        "Java's URLConnection, its old Accept",
        (
            f"{SECRET} | {HEADER} | User-Agent: Java/17.0.15 | {HOST} | "
            "Accept: text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2 | Connection: keep-alive"
        ),
        secret_string,
    ),
    Client(
        "functions in Python (urllib) that join address and path with a slash too many",
        (
            f"{SECRET.replace('/secrets', '//secrets')} | Accept-Encoding: identity | {HOST} | "
            f"User-Agent: Python-urllib/3.13 | X-aws-parameters-secrets-token: {TOKEN} | Connection: close"
        ),
        secret_string,
    ),
    Client(
        "a function in Rust (reqwest) with a slash at the end of the path",
        f"{SECRET.replace('get?', 'get/?')} | {HEADER} | accept: */* | {HOST.lower()}",
        secret_string,
    ),
    Client(
        "a library with one function for both, which decrypts secrets too",
        f"{SECRET.replace(' HTTP', '&withDecryption=true HTTP')} | {HOST} | User-Agent: axios/1.7.2 | {HEADER}",
        secret_string,
    ),
    Client("Guzzle (PHP)", f"{SECRET} | {HOST} | User-Agent: GuzzleHttp/7 | {HEADER}", secret_string),
    Client(
        ".NET's HttpClient, traced",
        f"{PARAMETER} | {HOST} | {HEADER} | traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
        parameter_value,
    ),
    Client(
        "one that says of what type its body is, though it has none",
        f"{ENCODED} | {HOST} | {HEADER} | Content-Type: application/json | Accept: application/json",
        secret_string,
    ),
    Client(
        "curl, as the agent's documentation has it, by its own path",
        f"GET /v1/prod/api HTTP/1.1 | {HOST} | User-Agent: curl/8.9.1 | Accept: */* | {HEADER}",
        secret_of_agent,
    ),
    Client(
        "a client of Vault's, which knows the agent's path and its own header",
        f"GET /v1/prod/api HTTP/1.1 | {HOST} | User-Agent: Go-http-client/1.1 | X-Vault-Token: {TOKEN}",
        secret_of_agent,
    ),
)
