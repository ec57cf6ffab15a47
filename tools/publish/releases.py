"""The project's releases: where they are, and how a file of one is fetched."""

import http.client
import os
import re
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

from tools.publish import PublishError

VARIABLE = "SECRETS_CACHE_RELEASES"
TIMEOUT_SECONDS = 60


def address(origin: str) -> str:
    """
    Return the address that the releases are below, without a slash at its end.

    It is $SECRETS_CACHE_RELEASES, or else that of the GitHub repository that `origin`, the address of a git remote, is.

    Raises:
        PublishError: Neither tells.
    """
    given = os.environ.get(VARIABLE, "")
    if given:
        # Not shown: it may hold a password.
        if not re.fullmatch(r"https?://[\w.:/~%+\[\]-]+", given, re.ASCII):
            raise PublishError(
                f"{VARIABLE} must be an address such as https://github.com/OWNER/REPOSITORY/releases/download,"
                " without a user name and without parameters"
            )
        return given.rstrip("/")
    found = repository(origin)
    if not found:
        raise PublishError(
            f"the address of the releases is not known: the git remote 'origin' is not on github.com; set {VARIABLE},"
            " such as https://github.com/OWNER/REPOSITORY/releases/download"
        )
    return f"https://github.com/{found}/releases/download"


def repository(origin: str) -> str:
    """Return owner and name of the GitHub repository that the address of a git remote is; empty if it is none."""
    match = re.fullmatch(r"(?:https://|git@|ssh://git@)github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?/?", origin)
    return match[1] if match else ""


def origin_of(folder: Path) -> str:
    """Return the address of the git remote `origin`; empty if there is none."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "remote", "get-url", "origin"], capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return done.stdout.strip()


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to anything else: what is downloaded is published."""

    def redirect_request(self, req: urllib.request.Request, *rest: Any, **named: Any) -> urllib.request.Request | None:  # noqa: ANN401 - the base class's
        """Return the next request, or refuse it."""
        following = super().redirect_request(req, *rest, **named)
        if following is not None and req.type == "https" and following.type != "https":
            raise OSError(f"it redirects to {following.type}, without encryption")
        return following


def download(base: str, version: str, name: str, folder: Path) -> Path:
    """
    Fetch one file of a release into a folder; return its path.

    Raises:
        PublishError: It cannot be downloaded.
    """
    url = f"{base}/v{version}/{name}"
    target = folder / name
    try:
        with urllib.request.build_opener(_Redirects()).open(url, timeout=TIMEOUT_SECONDS) as response:
            target.write_bytes(response.read())
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise PublishError(
            f"{url} could not be downloaded: {error}; is there a release {version}, and is {VARIABLE} right?"
        ) from None
    return target
