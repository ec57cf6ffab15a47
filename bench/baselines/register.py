"""The floor of a registration: an extension that only registers, through a raw socket. Standard library only."""

import os
import socket


def main() -> None:
    """Register, then wait in /event/next for as long as it takes."""
    host, _, port = os.environ["AWS_LAMBDA_RUNTIME_API"].partition(":")
    body = b'{"events":["SHUTDOWN"]}'
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"POST /2020-01-01/extension/register HTTP/1.1\r\nHost: lambda\r\nLambda-Extension-Name: register\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        answer = connection.recv(4096).decode("latin-1")
        identifier = answer.partition("Lambda-Extension-Identifier: ")[2].partition("\r\n")[0]
        connection.sendall(
            f"GET /2020-01-01/extension/event/next HTTP/1.1\r\nHost: lambda\r\n"
            f"Lambda-Extension-Identifier: {identifier}\r\n\r\n".encode()
        )
        connection.recv(4096)
