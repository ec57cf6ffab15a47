"""
A page of releases, as deploy.sh --release asks it, with faults.

Like GitHub, it answers a download with a redirect to another host.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

from tests.support.aws_cli import zip_of
from tests.support.stub_server import HttpServer, Request

VERSION = "1.2.3"
ZIPS = {f"secrets-cache-layer-{architecture}.zip": architecture for architecture in ("x86_64", "arm64")}
PATH = f"/o/r/releases/download/v{VERSION}/"

Fault = Callable[[Request], None]


class Releases(HttpServer):
    """
    The releases' page.

    Attributes:
        files: The files of the one release, by name.
        faults: What answers instead, by the last part of the path.
        asked: The paths that were asked for, in order.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        super().__init__(certificate)
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, Fault] = {}
        self.asked: list[str] = []

    @property
    def base(self) -> str:
        """The address of the releases."""
        return f"{self.url}/o/r/releases/download"

    def handle(self, request: Request) -> None:
        """Answer by redirects and files, but for the faults."""
        self.asked.append(request.path)
        name = request.path.rpartition("/")[2]
        fault = self.faults.get(name)
        if fault:
            fault(request)
        elif request.path == PATH + name and name in self.files:
            request.redirect(f"{self.url.replace('127.0.0.1', 'localhost')}/assets/{name}")
        elif request.path == f"/assets/{name}" and name in self.files:
            request.answer(200, self.files[name])
        else:
            request.answer(404, b"Not Found")

    def release(self, *contents: str) -> None:
        """Publish the release anew: a zip for each architecture, with these contents, and their sums."""
        self.files = {
            name: zip_of({"extensions/secrets-cache": content, "get-secrets-layer": "a wrapper"})
            for name, content in zip(ZIPS, contents, strict=True)
        }
        self.sum_up()

    def sum_up(self) -> None:
        """Write SHA256SUMS, as sha256sum does."""
        sums = (f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in self.files.items())
        self.files["SHA256SUMS"] = "".join(["0" * 64 + "  deploy.sh\n", *sums]).encode()

    def downloaded(self) -> list[str]:
        """Return the names of the files that were asked for, redirects not counted."""
        return [path.removeprefix(PATH) for path in self.asked if path.startswith(PATH)]
