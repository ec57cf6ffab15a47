"""The exec wrapper among wrappers of other layers."""

from pathlib import Path

import pytest

from secrets_cache.variables.wrapper_protocol import encode_answer
from tests.support.wrapper import environ_in, run_with_answer


def write_wrappers(folder: Path, *lines: str) -> list[str]:
    """Write wrappers as other layers have them; return their paths."""
    paths = []
    for number, line in enumerate(lines):
        path = folder / f"wrapper-{number}"
        path.write_text(f'#!/bin/bash\n{line}\nexec "$@"\n', encoding="utf-8")
        path.chmod(0o755)
        paths.append(str(path))
    return paths


def run_chain(script: Path, answer: bytes, *arguments: str, after: str) -> dict[bytes, bytes]:
    """Run the wrapper with others after it; return the environment that the runtime found."""
    done = run_with_answer(script, answer, *arguments, SECRETS_CACHE_NEXT_WRAPPER=after, PATH="/usr/bin:/bin")
    return environ_in(done.stdout)


def test_other_wrappers_run_next_with_the_runtimes_arguments(script, tmp_path):
    """Named by a secret, then by SECRETS_CACHE_NEXT_WRAPPER; the variable then names the first of them."""
    first, second, third = write_wrappers(tmp_path, 'export ONE="$#"', "export TWO=$ONE", 'export THREE="$*"')
    answer = encode_answer({b"AWS_LAMBDA_EXEC_WRAPPER": first.encode()})
    found = run_chain(script, answer, "a b", after=f"{second}::{script}:{third}")

    assert first.encode() == found[b"AWS_LAMBDA_EXEC_WRAPPER"]
    # The two wrappers that follow, and the runtime's five.
    assert b"7" == found[b"ONE"] == found[b"TWO"]
    assert found[b"THREE"].endswith(b"a b")


@pytest.mark.parametrize("line", ["", "unset AWS_LAMBDA_EXEC_WRAPPER", "export AWS_LAMBDA_EXEC_WRAPPER=$0.other"])
def test_a_wrapper_that_calls_us_again_makes_no_loop(script, tmp_path, line):
    """A variable that lives through the chain marks what has run, whatever a wrapper does to its own variable."""
    (other,) = write_wrappers(tmp_path, f'export TIMES="x$TIMES"\n{line}\nset -- "{script}" "$@"')
    answer = encode_answer({b"AWS_LAMBDA_EXEC_WRAPPER": other.encode()}) if line else b".\0"

    assert b"x" == run_chain(script, answer, after=other)[b"TIMES"]


def test_two_of_us_make_no_loop(script, tmp_path):
    """A copy of the wrapper in another folder, named by the secret, which the copy gets as well."""
    copy = tmp_path / "copy-of-it"
    copy.write_bytes(script.read_bytes())
    copy.chmod(0o755)
    answer = encode_answer({b"AWS_LAMBDA_EXEC_WRAPPER": bytes(copy)})

    assert 0 == run_with_answer(script, answer, SECRETS_CACHE_NEXT_WRAPPER=str(script)).returncode


def test_the_list_of_wrappers_may_come_from_a_secret(script, tmp_path):
    """As any variable: by a reference, or by a key."""
    (other,) = write_wrappers(tmp_path, "export SEEN=yes")
    answer = encode_answer({b"SECRETS_CACHE_NEXT_WRAPPER": other.encode()})

    assert b"yes" == run_chain(script, answer, after="secretsmanager://x")[b"SEEN"]
