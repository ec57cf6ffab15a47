"""What must agree before a release is built: version, package, changelog, tag and tree."""

import datetime as dt
import re
import subprocess
from pathlib import Path

MAX_SHOWN = 5
# Where the version is, and what comes around it.
PLACES = (
    ("secrets_cache/__init__.py", r'^__version__ = "(.*)"$'),
    ("tools/release/template.yaml", r"^    SemanticVersion: (.*)$"),
    ("tools/release/template.yaml", r"on localhost \((.*)\)$"),
    ("docs/openapi.yaml", r"^  version: (.*)$"),
    ("docs/sidecar.md", r"secrets-cache:(\d+\.\d+\.\d+)"),
    ("README.md", r"^This is version (\d+\.\d+\.\d+)"),
    ("README.md", r"--release (\d+\.\d+\.\d+)"),
)


class ReleaseError(Exception):
    """There can be no release; the text says what is wrong, where, and what to do."""


def version_of(text: str) -> str:
    """
    Return the version that `VERSION=` or a tag names, without a leading v.

    Raises:
        ReleaseError: It is none.
    """
    if not text:
        raise ReleaseError("VERSION is missing; such as: make release VERSION=0.2.0")
    if not re.fullmatch(r"v?\d+\.\d+\.\d+", text, re.ASCII):
        raise ReleaseError(f"VERSION: found {text!r}; allowed: X.Y.Z, such as 0.2.0")
    return text.removeprefix("v")


def places(root: Path, version: str) -> None:
    """
    Check every place that says which version this is.

    Raises:
        ReleaseError: One says another version, or none.
    """
    for name, pattern in PLACES:
        found = set(re.findall(pattern, (root / name).read_text("utf-8"), re.MULTILINE)) or {"no version"}
        if found != {version}:
            said = ", ".join(sorted(found - {version}))
            raise ReleaseError(f"{name} says {said}, but VERSION is {version}: change one of them")


def notes(root: Path, version: str) -> str:
    """
    Return what the changelog says of a version.

    Raises:
        ReleaseError: Nothing, or it is not the newest one there, or it has no date.
    """
    text = (root / "CHANGELOG.md").read_text("utf-8")
    entries = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    newest = entries[0].partition("\n")[0] if entries else "no entry"
    heading, _, body = next((e for e in entries if e.startswith(f"[{version}]")), "").partition("\n")
    if not body.strip():
        raise ReleaseError(f"CHANGELOG.md says nothing of {version}: write its entry, '## [{version}] - YYYY-MM-DD'")
    if heading != newest:
        raise ReleaseError(f"CHANGELOG.md: the newest entry is '{newest}', not that of {version}: move or date it")
    try:
        dt.date.fromisoformat(heading.removeprefix(f"[{version}] - "))
    except ValueError:
        raise ReleaseError(f"CHANGELOG.md: found '{heading}'; allowed: '[{version}] - YYYY-MM-DD'") from None
    return body.strip() + "\n"


def tree_and_tag(root: Path, version: str) -> None:
    """
    Check that the tree is what is committed, and that no tag says otherwise.

    A tag is not needed: a release can be built before it is tagged.

    Raises:
        ReleaseError: Something is not committed; the version's tag is at another commit; or this commit has the tag of
            another version.
    """
    changed = _git(root, "status", "--porcelain").splitlines()
    if changed:
        more = f" and {len(changed) - MAX_SHOWN} more" if len(changed) > MAX_SHOWN else ""
        names = ", ".join(line[3:] for line in changed[:MAX_SHOWN])
        raise ReleaseError(f"not committed: {names}{more}; commit it, or remove it: a release is made of a commit")
    tag, head = f"v{version}", _git(root, "rev-parse", "HEAD").strip()
    tagged = _git(root, "tag", "--list", tag, "--format=%(objectname) %(*objectname)").split()
    if tagged and tagged[-1] != head:
        raise ReleaseError(f"the tag {tag} is at {tagged[-1][:12]}, but {head[:12]} is checked out: git checkout {tag}")
    others = [one for one in _git(root, "tag", "--points-at", "HEAD").split() if re.match(r"v\d", one) and one != tag]
    if others:
        raise ReleaseError(f"this commit has the tag {others[0]}, not {tag}: make release VERSION={others[0][1:]}")


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ReleaseError(f"git {arguments[0]}: {done.stderr.strip() or 'failed'}")
    return done.stdout
