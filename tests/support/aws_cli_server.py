"""
The AWS CLI, imported once: a server that forks for each command line. A start of its own costs half a second of CPU.

    python aws_cli_server.py SOCKET     serves until its standard input ends; run by the CLI's own interpreter

A caller (`CALLER`, the program `aws`) sends its three descriptors, then its folder, environment and arguments as JSON;
it gets the exit code back. A command whose caller has gone away ends at once, as if it had been killed with it.
"""

import gc
import json
import os
import signal
import socket
import sys
import threading
import traceback
from typing import Any

# Of those that the tests ask.
SERVICES = ("cloudformation", "iam", "lambda", "s3")
CALLER = """\
#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({socket!r})
    socket.send_fds(server, [b"+"], [0, 1, 2])
    server.sendall(json.dumps([os.getcwd(), dict(os.environ), sys.argv[1:]]).encode() + b"\\n")
    code = server.recv(16)
sys.exit(int(code or 1))
"""


def _end_with(caller: socket.socket) -> None:
    """End this process when its caller has gone away."""
    caller.recv(1)
    os._exit(1)


def _warmed_up_driver() -> Any:
    """Return the CLI with what each command would import, list and parse first."""
    from awscli import clidriver

    driver, other = clidriver.create_clidriver(), clidriver.create_clidriver().session
    # The session of the commands must not have looked at the environment, which differs: they share only what was read.
    other.register_component("data_loader", driver.session.get_component("data_loader"))
    other.get_available_services()
    for service in SERVICES:
        other.create_client(service, "eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
        other.get_waiter_model(service)
        other.get_paginator_model(service)
    return driver


def _run(driver: Any, caller: socket.socket) -> None:
    """Become one command of the CLI."""
    _, descriptors, _, _ = socket.recv_fds(caller, 1, 3)
    with caller.makefile("rb") as stream:
        folder, environ, arguments = json.loads(stream.readline())
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(folder)
    # The CLI set it when it was imported.
    environ["AWS_DATA_PATH"] = os.environ["AWS_DATA_PATH"]
    os.environ.clear()
    os.environ.update(environ)
    # As an interpreter has them that starts.
    sys.stdin = os.fdopen(0, "r", encoding="utf-8", errors="surrogateescape")
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="surrogateescape")
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace")
    sys.argv[1:] = arguments
    threading.Thread(target=_end_with, args=(caller,), daemon=True).start()
    try:
        code = driver.main(arguments)
    except SystemExit as end:
        code = end.code
    sys.stdout.flush()
    sys.stderr.flush()
    caller.sendall(b"%d" % (code or 0))


def main() -> None:
    """Serve."""
    driver = _warmed_up_driver()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(sys.argv[1])
        server.listen(64)
        os.write(1, b"\n")
        threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
        while True:
            caller, _ = server.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                server.close()
                try:
                    _run(driver, caller)
                except BaseException:  # noqa: BLE001 - what an interpreter does
                    traceback.print_exc()
                    sys.stderr.flush()
                finally:
                    os._exit(0)
            caller.close()


if __name__ == "__main__":
    main()
