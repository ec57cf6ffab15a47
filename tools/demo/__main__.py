"""What `make demo` runs: under the emulator where that can be, with `secrets-cache serve` elsewhere."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tools import sandbox
from tools.demo import SECRET
from tools.demo.cache import PORT, TTL_SECONDS, Cache, DemoError, expect
from tools.demo.screen import GREEN, NEXT, paint, row, title
from tools.demo.upstream import SecretsManager, secrets_manager
from tools.emulator import ROOT, Emulator, EmulatorError, Log, built_layer, free_port, unpack

EXAMPLE = ROOT / "example_function"
VARIABLES_EXAMPLE = EXAMPLE / "environment"
CREDENTIALS = {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "demo", "AWS_SECRET_ACCESS_KEY": "demo"}
WRAPPER, SECOND_WRAPPER = "/opt/get-secrets-layer", "/opt/second-example-layer"
REFERENCES = {
    "EXAMPLE_AUTH_TOKEN": "secretsmanager://secret_now#password",
    "EXAMPLE_TENANT": "secretsmanager://secret_now#username",
}
# What they are once the password was rotated twice.
VALUES = {"EXAMPLE_AUTH_TOKEN": "rotated-2", "EXAMPLE_TENANT": "anika"}
PYTHON_RUNTIME = [sys.executable, "-m", "awslambdaric", "lambda_function.lambda_handler"]


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
    if not built_layer().exists():
        print("There is no layer yet: `make demo` builds it.")
        return 1
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
    print(f"\n{paint('It works.', GREEN)}")
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
        title("1. A function asks for its secret, while it is imported and in its handler")
        with _explained(function):
            took_ms = [_invoke(function), _invoke(function)]
            # An answer may be here before what the function has printed.
            function.log.wait_for("Response from cache: ", count=2)
            answers = [line for line in function.log.text.splitlines() if line.startswith("Response from cache: ")]
            print(*(f"  {answer}" for answer in answers), sep="\n")
            expect(answers == [f"Response from cache: {SECRET}"] * 2, "the handler did not get the secret")
            function.log.wait_for("extension.ready")
            ready = next(line for line in function.log.events() if line["event"] == "extension.ready")
            row("extension registered, so the function may start", f"{ready['registered_ms']} ms")
            row("secrets at hand", f"{ready['took_ms']} ms")
            row("first invocation, cold start and all", f"{took_ms[0]:.0f} ms")
            row("second invocation", f"{took_ms[1]:.0f} ms")
            row("one cached GET", f"{Cache(PORT).median_request_ms():.1f} ms")
            Cache(PORT).show(aws)
        title("5. What the extension logged meanwhile")
        for event in function.log.events():
            print(f"  {json.dumps(event)}")
        _show_the_variables(aws)


def _with_serve() -> None:
    # No loopback of its own here: another program may have the example's port.
    port = free_port()
    with secrets_manager(SECRET) as aws:
        environ = {**os.environ, **CREDENTIALS, "AWS_ENDPOINT_URL": aws.url, "CACHE_TIMEOUT": str(TTL_SECONDS / 60)}
        environ["SECRETS_CACHE_PORT"] = str(port)
        command = [sys.executable, "-m", "secrets_cache", "serve", "--config", str(EXAMPLE / "config.yaml")]
        serve = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert serve.stdout is not None
        log = Log(serve.stdout)
        title("1. The handler asks for its secret, while it is imported and when it is called")
        try:
            log.wait_for("serve.ready")
            handler = (EXAMPLE / "lambda_function.py").read_text("utf-8").replace(f":{PORT}", f":{port}")
            code = f"{handler}\nfor _ in range(2):\n    lambda_handler({{}}, None)\n"
            said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
            print(*(f"  {line}" for line in (said.stdout + said.stderr).splitlines()), sep="\n")
            expect(said.stdout == f"Response from cache: {SECRET}\n" * 2, "the handler did not get the secret")
            row("one cached GET", f"{Cache(port).median_request_ms():.1f} ms")
            Cache(port).show(aws)
            _show_run(environ)
        except (DemoError, EmulatorError):
            print(log.text)
            raise
        finally:
            serve.terminate()
            serve.wait()
            log.join()
            serve.stdout.close()


def _show_run(environ: dict[str, str]) -> None:
    title("5. Without code: `secrets-cache run` sets variables, and becomes the command")
    _print_variables("The environment:", REFERENCES)
    code = f"import json, os; print(json.dumps({{name: os.environ[name] for name in {[*REFERENCES]}}}))"
    command = [sys.executable, "-m", "secrets_cache", "run", "--", sys.executable, "-c", code]
    said = subprocess.run(
        command, cwd=EXAMPLE, env={**environ, **REFERENCES}, capture_output=True, text=True, check=False
    )
    expect(said.returncode == 0, f"the command did not get its variables: {said.stderr}")
    _print_found("What the command sees:", json.loads(said.stdout), VALUES)


@contextlib.contextmanager
def _explained(function: Emulator) -> Iterator[Emulator]:
    """Run a function under the emulator; if that goes wrong, show the whole log."""
    with function:
        try:
            yield function
        except BaseException:
            print(function.log.text)
            raise


def _show_the_variables(aws: SecretsManager) -> None:
    title("6. Without code: the exec wrapper sets variables, and the wrapper of a second layer sets one more")
    variables = {"AWS_LAMBDA_EXEC_WRAPPER": WRAPPER, "SECRETS_CACHE_NEXT_WRAPPER": SECOND_WRAPPER, **REFERENCES}
    _print_variables("The function's configuration:", variables)
    function = Emulator(
        opt=Path(os.environ["DEMO_OPT"]),
        task=VARIABLES_EXAMPLE,
        runtime=[WRAPPER, *PYTHON_RUNTIME],
        environ={"AWS_ENDPOINT_URL": aws.url, **variables},
    )
    with _explained(function):
        result = function.invoke({})
        expect(isinstance(result, dict), f"the function returned {result!r}")
        found = {**result.get("layer", {}), **result.get("secondLayer", {})}
        _print_found("What the function sees:", found, {**VALUES, "SECOND_LAYER_EXECUTE": "true"})


def _print_variables(heading: str, variables: dict[str, str]) -> None:
    print(f"  {heading}", *(f"    {name}={value}" for name, value in variables.items()), sep="\n")


def _print_found(heading: str, found: dict[str, str], expected: dict[str, str]) -> None:
    """Print the expected variables as they were found; they must be what is expected."""
    _print_variables(heading, {name: paint(found.get(name, "?"), GREEN) for name in expected})
    expect(expected.items() <= found.items(), "the variables are not set")


def _invoke(function: Emulator) -> float:
    began = time.perf_counter()
    function.invoke({"payload": "hello"})
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
