"""
`make demo`: the main job on this machine, without an AWS account and without Docker.

A Secrets Manager (moto's server) holds the secret `secret_now`. AWS's Runtime Interface Emulator runs the example
function and the extension, with an /opt and a loopback of their own. The function is invoked twice.
"""

import contextlib
import http.client
import json
import logging
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tools import sandbox
from tools.emulator import ROOT, Emulator, Log, built_layer, moto_server, unpack

SECRET = '{"username":"anika","password":"aDM4N3*!8TT"}'
PORT = 8080
TIMED_REQUESTS = 200
# Such as "Init Duration: 0.04 ms" and "Max Memory Used: 3008 MB".
EMULATOR_LINES = (
    " (lines with rapid, START, END and REPORT are the emulator's; its Init Duration and memory are not real)"
)
EXAMPLE = ROOT / "example_function"
CREDENTIALS = {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "demo", "AWS_SECRET_ACCESS_KEY": "demo"}


def main() -> int:
    """Run the demo where it can run; return the exit code."""
    if sys.argv[1:] == ["inside"]:
        return _under_the_emulator()
    reason = sandbox.why_impossible()
    if reason is not None:
        print(f"The emulator cannot run here: {reason}.\nOn Ubuntu, `make namespaces` allows it.")
        print("Showing `secrets-cache serve` and the handler instead.\n")
        return _with_serve()
    with tempfile.TemporaryDirectory(prefix="secrets-cache-demo-") as folder:
        opt = Path(folder) / "opt"
        unpack(built_layer(), opt)
        inner = [sys.executable, "-m", "tools.demo", "inside"]
        environ = {**os.environ, "DEMO_OPT": str(opt)}
        command = sandbox.command(str(opt), inner, own_network=True)
        return subprocess.run(command, cwd=ROOT, env=environ, check=False).returncode


def _under_the_emulator() -> int:
    with _secrets_manager() as url:
        _say("Starting the function and the extension under AWS's Runtime Interface Emulator ...")
        function = Emulator(
            opt=Path(os.environ["DEMO_OPT"]),
            task=EXAMPLE,
            runtime=[sys.executable, "-m", "awslambdaric", "lambda_function.lambda_handler"],
            environ={"AWS_ENDPOINT_URL": url},
        )
        with function:
            took_ms = [_invoke(function), _invoke(function)]
            _say(f"Timing {TIMED_REQUESTS} cached requests; the log counts them as hits ...")
            request_us = _median_request_us()
        ready = next((line for line in function.log.events() if line["event"] == "extension.ready"), {})
        answers = [line for line in function.log.text.splitlines() if line.startswith("Response from cache: ")]
        _show_log(function.log, EMULATOR_LINES)
        print("\nThe handler said, in its two invocations:\n  " + "\n  ".join(answers))
        print("\nTimings:")
        print(f"  extension registered, so the function may start  {ready.get('registered_ms', '?'):>7} ms")
        print(f"  secrets at hand (took_ms of extension.ready)     {ready.get('took_ms', '?'):>7} ms")
        print(f"  first invocation, cold start and all             {took_ms[0]:>7.0f} ms")
        print(f"  second invocation                                {took_ms[1]:>7.0f} ms")
        print(f"  one cached GET /cache/secret_now                 {request_us / 1000:>9.1f} ms")
    return _verdict(answers == [f"Response from cache: {SECRET}"] * 2)


def _with_serve() -> int:
    with _secrets_manager() as url:
        environ = {**os.environ, **CREDENTIALS, "AWS_ENDPOINT_URL": url}
        serve = subprocess.Popen(
            [sys.executable, "-m", "secrets_cache", "serve", "--config", str(EXAMPLE / "config.yaml")],
            env=environ,
            stdout=subprocess.PIPE,
        )
        assert serve.stdout is not None
        log = Log(serve.stdout)
        try:
            log.wait_for("serve.ready")
            code = "import lambda_function as f; f.lambda_handler({}, None); f.lambda_handler({}, None)"
            said = subprocess.run(
                [sys.executable, "-c", code], cwd=EXAMPLE, capture_output=True, text=True, check=False
            )
            _say(f"Timing {TIMED_REQUESTS} cached requests; the log counts them as hits ...")
            request_us = _median_request_us()
        finally:
            serve.terminate()
            serve.wait()
        _show_log(log)
        print(f"\nThe handler said, called twice:\n{said.stdout}{said.stderr}")
        print(f"Timing: one cached GET /cache/secret_now took {request_us / 1000:.1f} ms")
    return _verdict(said.stdout == f"Response from cache: {SECRET}\n" * 2)


@contextlib.contextmanager
def _secrets_manager() -> Iterator[str]:
    import boto3

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    _say("Starting a Secrets Manager on this machine, with the secret secret_now ...")
    with moto_server() as url:
        names: Mapping[str, str] = {"region_name": CREDENTIALS["AWS_REGION"], "endpoint_url": url}
        client = boto3.client("secretsmanager", **names, aws_access_key_id="demo", aws_secret_access_key="demo")
        client.create_secret(Name="secret_now", SecretString=SECRET)
        yield url


def _invoke(function: Emulator) -> float:
    began = time.perf_counter()
    print("  the function returned", json.dumps(function.invoke({"payload": "hello"})))
    return (time.perf_counter() - began) * 1000


def _median_request_us() -> float:
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
    try:
        connection.connect()
    except OSError:
        # Nothing listens: the log, which is shown next, says why.
        return math.nan
    took = []
    for _ in range(TIMED_REQUESTS):
        began = time.perf_counter()
        connection.request("GET", "/cache/secret_now")
        connection.getresponse().read()
        took.append((time.perf_counter() - began) * 1e6)
    connection.close()
    return statistics.median(took)


def _say(text: str) -> None:
    print(text, flush=True)


def _show_log(log: Log, note: str = "") -> None:
    print(f"\nThe log{note}:")
    for line in log.text.splitlines():
        print(f"  | {line}")


def _verdict(is_good: bool) -> int:  # noqa: FBT001 - its only argument
    print("\nIt works." if is_good else "\nThe handler did not get the secret; the log above says why.")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
