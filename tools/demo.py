"""
`make demo`: what the product is for, on this machine, without an AWS account and without Docker.

A Secrets Manager (moto's server) holds the secret `secret_now`. AWS's Runtime Interface Emulator runs two functions and
the extension, with an /opt and a loopback of their own: one function asks the cache, through a rotation and an outage;
the other has variables that the exec wrapper has set.
"""

import contextlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tools import sandbox
from tools.demo_upstream import SecretsManager, secrets_manager
from tools.emulator import PATIENCE_SECONDS, ROOT, Emulator, EmulatorError, Log, built_layer, unpack

SECRET = '{"username":"anika","password":"aDM4N3*!8TT"}'
PORT = 8080
TIMED_REQUESTS = 200
# Three seconds: long enough for everything up to the outage, with room for a slow machine.
TTL_SECONDS = PATIENCE_SECONDS / 10
EXAMPLE = ROOT / "example_function"
VARIABLES_EXAMPLE = EXAMPLE / "environment"
CREDENTIALS = {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "demo", "AWS_SECRET_ACCESS_KEY": "demo"}
WRAPPER, SECOND_WRAPPER = "/opt/get-secrets-layer", "/opt/second-example-layer"
PYTHON_RUNTIME = [sys.executable, "-m", "awslambdaric", "lambda_function.lambda_handler"]
BOLD, GREEN, YELLOW = "1", "32", "33"
NEXT = """
What next:
  make layer                                        build the layer for your functions
  ./deploy.sh --grant config.yaml my-function       put it on one, with the permission to read what config.yaml lists
  .venv/bin/secrets-cache serve --config example_function/config.yaml
                                                    the same server outside Lambda, with your AWS credentials
README.md has the code that you put into your function; docs/README.md lists everything else."""


class DemoError(Exception):
    """A step did not show what it is for; the text says which."""


def main() -> int:
    """Run the demo where it can run; return the exit code."""
    # Everything is on this machine: no proxy knows of it.
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = "*"
    if sys.argv[1:] == ["inside"]:
        return _run(_under_the_emulator)
    reason = sandbox.why_impossible()
    if reason is not None:
        print(f"The emulator cannot run here: {reason}.\nOn Ubuntu, `make namespaces` allows it.")
        print("Showing `secrets-cache serve` and the handler instead.")
        return _run(_with_serve)
    with tempfile.TemporaryDirectory(prefix="secrets-cache-demo-") as folder:
        opt = Path(folder) / "opt"
        unpack(built_layer(), opt)
        second = VARIABLES_EXAMPLE / "second_layer" / "second-example-layer"
        (opt / second.name).write_bytes(second.read_bytes())
        (opt / second.name).chmod(0o755)
        inner = [sys.executable, "-W", "ignore", "-m", "tools.demo", "inside"]
        environ = {**os.environ, "DEMO_OPT": str(opt)}
        command = sandbox.command(str(opt), inner, own_network=True)
        return subprocess.run(command, cwd=ROOT, env=environ, check=False).returncode


def _run(show: Callable[[], None]) -> int:
    try:
        show()
    except (DemoError, EmulatorError, OSError, http.client.HTTPException) as error:
        print(f"\nThe demo failed: {error}")
        return 1
    print(f"\n{_paint('It works.', GREEN)}")
    print(NEXT)
    return 0


def _under_the_emulator() -> None:
    with secrets_manager(SECRET) as aws:
        function = Emulator(
            opt=Path(os.environ["DEMO_OPT"]),
            task=EXAMPLE,
            runtime=PYTHON_RUNTIME,
            environ={"AWS_ENDPOINT_URL": aws.url, "CACHE_TIMEOUT": str(TTL_SECONDS / 60)},
        )
        _title("1. A function asks for its secret, while it is imported and in its handler")
        with _explained(function):
            took_ms = [_invoke(function), _invoke(function)]
            answers = [line for line in function.log.text.splitlines() if line.startswith("Response from cache: ")]
            print(*(f"  {answer}" for answer in answers), sep="\n")
            _expect(answers == [f"Response from cache: {SECRET}"] * 2, "the handler did not get the secret")
            function.log.wait_for("extension.ready")
            ready = next(line for line in function.log.events() if line["event"] == "extension.ready")
            _row("extension registered, so the function may start", f"{ready['registered_ms']} ms")
            _row("secrets at hand", f"{ready['took_ms']} ms")
            _row("first invocation, cold start and all", f"{took_ms[0]:.0f} ms")
            _row("second invocation", f"{took_ms[1]:.0f} ms")
            _row("one cached GET", f"{_median_request_ms():.1f} ms")
            _show_the_cache(aws)
        _title("5. What the extension logged meanwhile")
        for event in function.log.events():
            print(f"  {json.dumps(event)}")
        _show_the_variables(aws)


def _with_serve() -> None:
    with secrets_manager(SECRET) as aws:
        environ = {**os.environ, **CREDENTIALS, "AWS_ENDPOINT_URL": aws.url, "CACHE_TIMEOUT": str(TTL_SECONDS / 60)}
        command = [sys.executable, "-m", "secrets_cache", "serve", "--config", str(EXAMPLE / "config.yaml")]
        serve = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert serve.stdout is not None
        log = Log(serve.stdout)
        _title("1. The handler asks for its secret, while it is imported and when it is called")
        try:
            log.wait_for("serve.ready")
            code = "import lambda_function as f; f.lambda_handler({}, None); f.lambda_handler({}, None)"
            said = subprocess.run(
                [sys.executable, "-c", code], cwd=EXAMPLE, capture_output=True, text=True, check=False
            )
            print(*(f"  {line}" for line in (said.stdout + said.stderr).splitlines()), sep="\n")
            _expect(said.stdout == f"Response from cache: {SECRET}\n" * 2, "the handler did not get the secret")
            _row("one cached GET", f"{_median_request_ms():.1f} ms")
            _show_the_cache(aws)
        except (DemoError, EmulatorError):
            print(log.text)
            raise
        finally:
            serve.terminate()
            serve.wait()
            log.join()
            serve.stdout.close()
    print("\nVariables from secrets need the emulator here: README.md has them under 'Or without code'.")


@contextlib.contextmanager
def _explained(function: Emulator) -> Iterator[Emulator]:
    """Run a function under the emulator; if that goes wrong, show the whole log."""
    with function:
        try:
            yield function
        except BaseException:
            print(function.log.text)
            raise


def _show_the_cache(aws: SecretsManager) -> None:
    _title("2. The password is rotated: the cache has the old one, ?refresh=true fetches the new one")
    aws.rotate("rotated-1")
    _show("?key=password", "aDM4N3*!8TT", "secrets-cache; hit")
    _show("?key=password&refresh=true", "rotated-1", "secrets-cache; fwd=request")

    _title(f"3. AWS fails (503), and the ttl ends ({TTL_SECONDS:g} s here): the old value is served, marked as stale")
    aws.is_down = True
    _wait_for("secrets-cache; hit; detail=stale")
    _show("?key=password", "rotated-1", "secrets-cache; hit; detail=stale")

    _title("4. AWS is back, with a newer password: the cache fetches it by itself")
    aws.is_down = False
    aws.rotate("rotated-2")
    _wait_for("secrets-cache; hit")
    _show("?key=password", "rotated-2", "secrets-cache; hit")


def _show_the_variables(aws: SecretsManager) -> None:
    _title("6. Without code: the exec wrapper sets variables, and the wrapper of a second layer sets one more")
    variables = {
        "AWS_LAMBDA_EXEC_WRAPPER": WRAPPER,
        "SECRETS_CACHE_NEXT_WRAPPER": SECOND_WRAPPER,
        "EXAMPLE_AUTH_TOKEN": "secretsmanager://secret_now#password",
        "EXAMPLE_TENANT": "secretsmanager://secret_now#username",
    }
    print("  The function's configuration:")
    print(*(f"    {name}={value}" for name, value in variables.items()), sep="\n")
    function = Emulator(
        opt=Path(os.environ["DEMO_OPT"]),
        task=VARIABLES_EXAMPLE,
        runtime=[WRAPPER, *PYTHON_RUNTIME],
        environ={"AWS_ENDPOINT_URL": aws.url, **variables},
    )
    with _explained(function):
        result = function.invoke({})
        found = {**result.get("layer", {}), **result.get("secondLayer", {})}
        expected = {"EXAMPLE_AUTH_TOKEN": "rotated-2", "EXAMPLE_TENANT": "anika", "SECOND_LAYER_EXECUTE": "true"}
        print("  What the function sees:")
        print(*(f"    {name}={_paint(found.get(name, '?'), GREEN)}" for name in expected), sep="\n")
        _expect(expected.items() <= found.items(), "the function did not get its variables")


def _invoke(function: Emulator) -> float:
    began = time.perf_counter()
    function.invoke({"payload": "hello"})
    return (time.perf_counter() - began) * 1000


def _get(query: str, connection: http.client.HTTPConnection | None = None) -> tuple[str, str]:
    """Ask the cache; return the body and the Cache-Status."""
    connection = connection or http.client.HTTPConnection("127.0.0.1", PORT, timeout=PATIENCE_SECONDS)
    connection.request("GET", f"/cache/secret_now{query}")
    response = connection.getresponse()
    return response.read().decode(), response.headers.get("Cache-Status", "")


def _show(query: str, body: str, status: str) -> None:
    found = _get(query)
    colour = YELLOW if "stale" in found[1] else GREEN
    print(f"  GET /cache/secret_now{query:<28} {found[0]:<12} {_paint(f'Cache-Status: {found[1]}', colour)}")
    _expect(found == (body, status), f"expected {body!r} and {status!r}")


def _wait_for(status: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while _get("")[1] != status:
        _expect(time.monotonic() < deadline, f"no answer came with {status!r}")
        time.sleep(0.02)


def _median_request_ms() -> float:
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=PATIENCE_SECONDS)
    took = []
    for _ in range(TIMED_REQUESTS):
        began = time.perf_counter()
        _get("", connection)
        took.append((time.perf_counter() - began) * 1000)
    connection.close()
    return statistics.median(took)


def _expect(is_so: bool, otherwise: str) -> None:  # noqa: FBT001 - what it is about
    if not is_so:
        raise DemoError(otherwise)


def _title(text: str) -> None:
    print(f"\n{_paint(text, BOLD)}", flush=True)


def _row(name: str, value: str) -> None:
    print(f"  {name:<50} {value:>8}")


def _paint(text: str, colour: str) -> str:
    is_coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return f"\033[{colour}m{text}\033[0m" if is_coloured else text


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
