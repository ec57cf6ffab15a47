"""The demo's AWS: a Secrets Manager on this machine whose secret can be rotated, and which can fail."""

import contextlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tools.emulator import moto_server

REGION = "eu-west-1"
NAME = "secret_now"


class SecretsManager:
    """
    A Secrets Manager with one secret.

    Attributes:
        url: Where it listens.
        is_down: Whether it answers every GetSecretValue with 503.
    """

    def __init__(self, value: str) -> None:
        self.url = ""
        self.is_down = False
        self._value = value
        self._client: Any = None

    def start(self, url: str) -> None:
        """Create the secret in the server that listens at `url`."""
        import boto3

        self.url = url
        self._client = boto3.client(
            "secretsmanager",
            region_name=REGION,
            endpoint_url=url,
            aws_access_key_id="demo",
            aws_secret_access_key="demo",
        )
        self._client.create_secret(Name=NAME, SecretString=self._value)

    def rotate(self, password: str) -> None:
        """Give the secret another password."""
        self._client.put_secret_value(
            SecretId=NAME, SecretString=json.dumps({**json.loads(self._value), "password": password})
        )

    def answer(
        self,
        application: Callable[..., Iterable[bytes]],
        environ: dict[str, object],
        start_response: Callable[..., object],
    ) -> Iterable[bytes]:
        """Let moto answer, or nobody: a WSGI application around moto's."""
        if not (self.is_down and str(environ.get("HTTP_X_AMZ_TARGET")).endswith(".GetSecretValue")):
            return application(environ, start_response)
        start_response("503 Service Unavailable", [("Content-Length", "0")])
        return [b""]


@contextlib.contextmanager
def secrets_manager(value: str) -> Iterator[SecretsManager]:
    """Give a Secrets Manager that holds `value` as the secret `secret_now`."""
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    service = SecretsManager(value)
    with moto_server(around=service.answer) as url:
        service.start(url)
        yield service
