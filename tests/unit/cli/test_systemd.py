"""What systemd is sent; that `serve` sends it: tests/process/test_serve.py."""

import logging
import os
import socket

import pytest

from secrets_cache.cli.serve import notify


@pytest.mark.parametrize("is_abstract", [True, False])
def test_a_state_goes_to_the_socket_that_is_named(tmp_path, is_abstract):
    """A file, or a name in the abstract namespace, which begins with @."""
    address = f"@secrets-cache-unit-{os.getpid()}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address.replace("@", "\0", 1))
        listener.settimeout(5)
        notify({"NOTIFY_SOCKET": address}, "READY=1")

        assert b"READY=1" == listener.recv(100)


def test_without_a_socket_nothing_is_sent(caplog):
    """And nothing is logged."""
    notify({}, "READY=1")

    assert [] == caplog.records


def test_a_socket_that_is_not_there_is_logged(tmp_path, caplog):
    """The server goes on."""
    with caplog.at_level(logging.WARNING):
        notify({"NOTIFY_SOCKET": str(tmp_path / "nobody")}, "READY=1")

    (record,) = caplog.records
    assert ("serve.not_notified", {"reason": "No such file or directory"}) == (record.msg, record.args)
