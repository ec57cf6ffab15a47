"""
The environment that a process was started with, and the command that it becomes.

Rules
-----
1. Values go to `execve` as bytes, unchanged: through no shell.
2. Nothing slow is imported: every cold start of a function with the exec wrapper waits for this.
"""

from __future__ import annotations

# CPython's own part of `signal`, whose import takes longer.
import _signal  # type: ignore[import-not-found]
import os

from secrets_cache.errors import VariablesFailed

# Not from typing, whose import takes longer than everything else here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def read_original_environ() -> dict[bytes, bytes]:
    """Return the environment of the process before the interpreter changed it; of equal names the first."""
    try:
        with open("/proc/self/environ", "rb") as file:  # noqa: PTH123 - no pathlib here
            data = file.read()
    except OSError:
        return dict(os.environb)
    environ: dict[bytes, bytes] = {}
    for entry in data.split(b"\0"):
        name, equals, value = entry.partition(b"=")
        if equals and name:
            environ.setdefault(name, value)
    return environ


def execute(command: list[bytes], environ: dict[bytes, bytes]) -> None:
    """Replace this process by the command. Raises `VariablesFailed`, with the sizes if the environment is too large."""
    if not command[0]:
        raise VariablesFailed("'' cannot be run: the command is empty")
    # Python ignores these signals, and an ignored signal stays ignored through `execve`.
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):
        _signal.signal(number, _signal.SIG_DFL)
    paths = [command[0]]
    if b"/" not in command[0]:
        paths = [
            (folder or b".") + b"/" + command[0] for folder in environ.get(b"PATH", os.defpath.encode()).split(b":")
        ]
    failure = OSError()
    for path in paths:
        try:
            os.execve(path, command, environ)  # noqa: S606 - no shell, on purpose
        except OSError as error:
            # As execvp(3): a file that does not exist must not hide one that may not be run.
            if not isinstance(error, FileNotFoundError | NotADirectoryError) or not failure.errno:
                failure = error
            if not isinstance(error, FileNotFoundError | NotADirectoryError | PermissionError):
                break
    raise VariablesFailed(_explain(command, paths, environ, failure))


def _explain(command: list[bytes], paths: list[bytes], environ: Mapping[bytes, bytes], error: OSError) -> str:
    import errno  # noqa: PLC0415 - only a failure needs it

    if error.errno != errno.E2BIG:
        reason = str(error.strerror)
        if error.errno == errno.ENOEXEC:
            reason += "; a script needs a first line such as #!/bin/sh, and a program must be for this processor"
        # Linux has the same error for a script's interpreter, which Windows' line ends give another name.
        elif error.errno == errno.ENOENT and any(map(os.path.exists, paths)):
            reason = "the file exists, but not its interpreter: the program in its first line, or its loader"
        return f"{os.fsdecode(command[0])!r} cannot be run: {reason}"
    sizes = {name: len(name) + len(value) + 2 for name, value in environ.items()}
    largest = max(sizes, key=lambda name: sizes[name])
    return (
        f"the environment is too large: {sum(sizes.values())} bytes in {len(sizes)} variables, the largest "
        f"{os.fsdecode(largest)!r} with {sizes[largest]}; the kernel allows 131072 bytes for one variable, and a "
        "quarter of the stack limit (usually 2 MiB) for all of them and the arguments"
    )
