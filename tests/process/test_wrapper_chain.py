"""The exec wrapper among wrappers of other layers."""

from pathlib import Path

import pytest

from secrets_cache.variables.channel import encode_answer
from tests.support.wrapper import Extension, environ_in, plain, run


def wrappers(folder: Path, *lines: str) -> list[str]:
    """Write wrappers as other layers have them; return their paths."""
    paths = []
    for number, line in enumerate(lines):
        path = folder / f"wrapper-{number}"
        path.write_text(f'#!/bin/bash\n{line}\nexec "$@"\n', encoding="utf-8")
        path.chmod(0o755)
        paths.append(str(path))
    return paths


def test_other_wrappers_run_next_with_the_runtimes_arguments(script, tmp_path):
    """Named by a secret, then by SECRETS_CACHE_NEXT_WRAPPER; the variable then names the first of them."""
    first, second, third = wrappers(tmp_path, 'export ONE="$#"', "export TWO=$ONE", 'export THREE="$*"')
    with Extension(encode_answer({b"AWS_LAMBDA_EXEC_WRAPPER": first.encode()})) as extension:
        environ = plain(
            AWS_LAMBDA_RUNTIME_API=extension.address,
            SECRETS_CACHE_NEXT_WRAPPER=f"{second}::{script}:{third}",
            PATH="/usr/bin:/bin",
        )
        found = environ_in(run(script, environ, "a b").stdout)

    assert first.encode() == found[b"AWS_LAMBDA_EXEC_WRAPPER"]
    # The two wrappers that follow, and the runtime's five.
    assert b"7" == found[b"ONE"] == found[b"TWO"]
    assert found[b"THREE"].endswith(b"a b")


def test_a_wrapper_that_calls_us_again_makes_no_loop(script, tmp_path):
    """It has run already."""
    (other,) = wrappers(tmp_path, f'export TIMES="x$TIMES"\nset -- "{script}" "$@"')
    with Extension(b".\0") as extension:
        environ = plain(
            AWS_LAMBDA_RUNTIME_API=extension.address, SECRETS_CACHE_NEXT_WRAPPER=other, PATH="/usr/bin:/bin"
        )
        assert b"x" == environ_in(run(script, environ).stdout)[b"TIMES"]


@pytest.mark.parametrize("line", ["unset AWS_LAMBDA_EXEC_WRAPPER", "export AWS_LAMBDA_EXEC_WRAPPER=$0.other"])
def test_nothing_that_a_wrapper_does_to_its_variable_makes_a_loop(script, tmp_path, line):
    """The chain is marked by a variable that lives through it."""
    (other,) = wrappers(tmp_path, f'export TIMES="x$TIMES"\n{line}\nset -- "{script}" "$@"')
    with Extension(encode_answer({b"AWS_LAMBDA_EXEC_WRAPPER": other.encode()})) as extension:
        environ = plain(
            AWS_LAMBDA_RUNTIME_API=extension.address, SECRETS_CACHE_NEXT_WRAPPER=other, PATH="/usr/bin:/bin"
        )
        assert b"x" == environ_in(run(script, environ).stdout)[b"TIMES"]


def test_two_of_us_make_no_loop(script, tmp_path):
    """A copy of ours in another folder, named by the secret, which the copy gets as well."""
    copy = tmp_path / "copy-of-it"
    copy.write_bytes(script.read_bytes())
    copy.chmod(0o755)
    with Extension(encode_answer({b"AWS_LAMBDA_EXEC_WRAPPER": bytes(copy)})) as extension:
        environ = plain(AWS_LAMBDA_RUNTIME_API=extension.address, SECRETS_CACHE_NEXT_WRAPPER=str(script))
        assert 0 == run(script, environ).returncode


def test_the_list_of_wrappers_may_come_from_a_secret(script, tmp_path):
    """As any variable: by a reference, or by a key."""
    (other,) = wrappers(tmp_path, "export SEEN=yes")
    with Extension(encode_answer({b"SECRETS_CACHE_NEXT_WRAPPER": other.encode()})) as extension:
        environ = plain(
            AWS_LAMBDA_RUNTIME_API=extension.address, SECRETS_CACHE_NEXT_WRAPPER="secretsmanager://x", PATH="/bin"
        )
        assert b"yes" == environ_in(run(script, environ).stdout)[b"SEEN"]
