"""
Signals that must not end the process: all but SIGTERM, SIGINT and SIGKILL.

Rules
-----
1. Nothing slow is imported.
2. A signal is handled, not ignored, so that a process which this one becomes or starts finds it as it was: an ignored
   signal stays ignored through `execve`. Faults are the exception: their handlers would be called for ever.
"""

# CPython's own part of `signal`, whose import takes longer.
import _signal  # type: ignore[import-not-found]
from collections.abc import Callable

# SIGTERM and SIGINT end the process; these stop it or are ignored by default; Python ignores SIGPIPE and SIGXFSZ.
LEFT = frozenset(
    {
        *(_signal.SIGTERM, _signal.SIGINT, _signal.SIGKILL),
        *(_signal.SIGSTOP, _signal.SIGTSTP, _signal.SIGTTIN, _signal.SIGTTOU, _signal.SIGCONT),
        *(_signal.SIGCHLD, _signal.SIGURG, _signal.SIGWINCH, _signal.SIGPIPE, _signal.SIGXFSZ),
    }
)
# A real fault ends the process all the same: the kernel does not let it be ignored.
FAULTS = frozenset(
    {
        *(_signal.SIGSEGV, _signal.SIGBUS, _signal.SIGFPE, _signal.SIGILL),
        *(_signal.SIGABRT, _signal.SIGTRAP, _signal.SIGSYS),
    }
)


def survive_signals(note: Callable[[int, object], object]) -> None:
    """
    Let no signal but SIGTERM, SIGINT and SIGKILL end the process, and unblock them all. For the main thread.

    Args:
        note: Called with the number of each other signal that arrives, between any two steps of the main thread.
    """
    for number in _signal.valid_signals() - LEFT:
        try:
            _signal.signal(number, _signal.SIG_IGN if number in FAULTS else note)
        except (OSError, ValueError):
            # The C library keeps it for itself.
            continue
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, _signal.valid_signals())


def name_signal(number: int) -> str:
    """Return a signal's name, such as "SIGHUP" or "SIGRTMIN+3"."""
    import signal  # noqa: PLC0415 - rule 1

    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}"
