"""
The state of a start: the file that was read, the ports that were bound, whether the registration was made.

Rules
-----
1. Nothing slow is imported: the function's own start waits for the registration.
2. Each step is done once, whatever fails after it: a restart goes on from there.
3. The ports stay open until the process ends. Whatever serves gets copies of the descriptors; if that fails, callers
   wait in the backlog for what comes next.
"""

from __future__ import annotations

import os
import time

from secrets_cache.errors import ExtensionsApiError
from secrets_cache.http1.exchange import run_exchange
from secrets_cache.system.files import read_config
from secrets_cache.system.sockets import bind, bind_channel, open_sockets

# Not from typing, whose import takes longer than the registration itself.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from secrets_cache.config import Config
    from secrets_cache.extension.extensions_api import ExtensionsApi
    from secrets_cache.system.files import ConfigFile

DEFAULT_PORT = 8080
MAX_PORT = 65535


class Startup:
    """
    One start of the extension.

    Args:
        environ: The environment variables.

    Attributes:
        port: Where the extension's own protocol is served.
        aws_port: Where the protocol of AWS's layer is served; 0 for nowhere.
        sockets: Copies of what listens on `port`, while they are open.
        aws_sockets: Likewise on `aws_port`.
        channel: The socket for the exec wrapper. Empty if binding failed, or if an earlier attempt used it; the wrapper
            then fetches the secrets itself.
        failures: Events that are not logged yet, the ports they are about, and the errors.
        registered_at: When the registration ended, successful or not, on the monotonic clock; 0 before.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.port = DEFAULT_PORT
        self.aws_port = 0
        self.sockets: list[socket.socket] = []
        self.aws_sockets: list[socket.socket] = []
        self.channel: list[socket.socket] = []
        self.failures: list[tuple[str, int, Exception]] = []
        self.registered_at = 0.0
        self._file: ConfigFile | None = None
        self._config: Config | None = None
        self._is_bound = False
        self._descriptors: list[int] = []
        self._aws_descriptors: list[int] = []
        self._channel_descriptors: list[int] = []

    def bind_and_register(self, api: ExtensionsApi) -> None:
        """Choose and bind the ports, then register, unless done before. A registration may fail: see `failures`."""
        if not self._is_bound:
            self._choose_ports()
            self._bind()
        if not self.registered_at:
            try:
                run_exchange(api.register())
            except ExtensionsApiError as error:
                self.failures.append(("extensions_api.failed", self.port, error))
            self.registered_at = time.monotonic()

    def parse_config(self) -> Config:
        """Return what the file and the environment say; read and parsed once. Imports the parser, which is slow."""
        if self._config is None:
            from secrets_cache.loading import parse_config  # noqa: PLC0415 - rule 1

            self._config = parse_config(self._read_file(), self.environ)
        return self._config

    def open_sockets(self) -> None:
        """Open the sockets that an attempt serves on. The caller closes them."""
        self.sockets, self.aws_sockets = _open_copies(self._descriptors), _open_copies(self._aws_descriptors)
        self.channel = open_sockets(self._channel_descriptors)
        self._channel_descriptors = []

    def open_fallback_sockets(self) -> list[socket.socket]:
        """Return sockets for all ports of both protocols; bind the ports if they are not bound yet."""
        if not self._is_bound:
            self._bind()
        return _open_copies([*self._descriptors, *self._aws_descriptors])

    def list_bound_ports(self) -> dict[str, int]:
        """Return the ports that could be bound, by the names of the attributes that hold them."""
        is_shared = self.aws_port == self.port
        bound = {"port": self._descriptors, "aws_port": self._descriptors if is_shared else self._aws_descriptors}
        return {name: getattr(self, name) for name, descriptors in bound.items() if descriptors}

    def close_channel(self) -> None:
        """Refuse the exec wrapper, which then fetches the secrets itself."""
        while self._channel_descriptors:
            os.close(self._channel_descriptors.pop())

    def close_ports(self) -> None:
        """Refuse all callers."""
        for descriptors in (self._descriptors, self._aws_descriptors):
            while descriptors:
                os.close(descriptors.pop())

    def _read_file(self) -> ConfigFile:
        if self._file is None:
            self._file = read_config(self.environ)
        return self._file

    def _choose_ports(self) -> None:
        ports = {"SECRETS_CACHE_PORT": DEFAULT_PORT, "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": 0}
        must_parse = may_set_port(self._read_file())
        for name in ports:
            text = self.environ.get(name, "").strip()
            port = read_port(text)
            if port is None:
                must_parse = must_parse or text != ""
            else:
                ports[name] = port
        self.port, self.aws_port = ports.values()
        if must_parse:
            config = self.parse_config()
            self.port, self.aws_port = config.port, config.aws_port

    def _bind(self) -> None:
        self._descriptors, errors = bind(self.port)
        # One port for both protocols is bound once, and speaks both.
        is_second = self.aws_port not in {0, self.port}
        self._aws_descriptors, aws_errors = bind(self.aws_port) if is_second else ([], [])
        self._is_bound = True
        for port, errors_of_port in ((self.port, errors), (self.aws_port, aws_errors)):
            self.failures += [("server.not_listening", port, error) for error in errors_of_port]
        self._channel_descriptors = bind_channel(self.environ.get("AWS_LAMBDA_RUNTIME_API", ""))


def read_port(text: str) -> int | None:
    """
    Return the port that `text` means, without the parser of settings, which is slow to import.

    None for everything but a port as it is usually written: the parser alone knows what else is a port, or none.
    """
    is_plain = text.isascii() and text.isdigit() and not text.startswith("0") and len(text) <= len(str(MAX_PORT))
    return int(text) if is_plain and int(text) <= MAX_PORT else None


def may_set_port(file: ConfigFile) -> bool:
    """
    Return whether the file may set a port, without the YAML parser, which is slow to import.

    A key spells "port" with these four letters, or with an escape in a quoted key, or in an encoding that is refused in
    any case. The answer may be a wrong yes, never a wrong no.
    """
    return file.data is not None and (b"port" in file.data or b"\\" in file.data)


def _open_copies(descriptors: list[int]) -> list[socket.socket]:
    return open_sockets(map(os.dup, descriptors))
