"""The steps up to the registration, and what they leave for whatever serves."""

import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secrets_cache.config import parse
from secrets_cache.extension.startup import Startup, may_set_port, read_port
from secrets_cache.system.files import read_config
from secrets_cache.system.sockets import CHANNEL
from tools.emulator import free_port


@pytest.fixture(name="make")
def _make(api, tmp_path):
    """Give a function that makes a startup, with a free port, and that closes what it has bound afterwards."""
    made = []

    def make(text: str | None = None, **environ: str) -> Startup:
        ports = {"SECRETS_CACHE_PORT": str(free_port())}
        file = tmp_path / "config.yaml"
        if text is not None:
            file.write_text(text)
        task = {"LAMBDA_TASK_ROOT": str(tmp_path), "AWS_LAMBDA_RUNTIME_API": api.address}
        startup = Startup({**ports, **task, **environ})
        made.append(startup)
        return startup

    yield make
    for startup in made:
        startup.close_ports()
        startup.close_channel()


def is_open(port: int) -> bool:
    """Return whether somebody listens on a port."""
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def close(startup: Startup) -> None:
    """End an attempt, as the process does."""
    for listener in (*startup.sockets, *startup.aws_sockets, *startup.channel):
        listener.close()


def test_each_step_is_done_once(api, client, make):
    """A restart neither binds nor registers again."""
    startup = make("secrets: [db]")
    startup.bind_and_register(client)
    registered_at = startup.registered_at
    startup.bind_and_register(client)

    assert ["/register"] == api.paths()
    assert registered_at == startup.registered_at
    assert startup.parse_config() is startup.parse_config()
    assert [] == startup.failures


def test_the_ports_are_those_of_the_environment(client, make):
    """Then the file is not parsed, unless it may set one as well."""
    port, aws_port = free_port(), free_port()
    startup = make(SECRETS_CACHE_PORT=f" {port} ", PARAMETERS_SECRETS_EXTENSION_HTTP_PORT=str(aws_port))
    startup.bind_and_register(client)

    assert (port, aws_port) == (startup.port, startup.aws_port)
    assert is_open(port)
    assert is_open(aws_port)


@pytest.mark.parametrize("variable", ["", "x", "0", "65536"])
def test_where_the_environment_names_no_port_the_configuration_does(client, make, variable):
    """Whether it is left out, or is none: then it is a problem of the configuration as well."""
    port = free_port()
    startup = make(f"server: {{port: {port}}}", SECRETS_CACHE_PORT=variable)
    startup.bind_and_register(client)

    assert port == startup.port
    assert is_open(port)
    assert ([variable] if variable else []) == [problem.found.strip("'") for problem in startup.parse_config().problems]


PORT_TEXTS = (
    "8081", "1", "65535", "0", "65536", "99999", "00008081", "000001234567", "0" * 5000 + "8081", "9" * 5000,
    "8_081", "+8081", "-1", "8081.0", "8e3", "0x1f91", "0o17", "٨٠٨١", "²", "80 81", "8081\x00",
)  # fmt: skip


@pytest.mark.parametrize("text", PORT_TEXTS, ids=lambda text: repr(text[:20]))
def test_what_is_bound_is_what_the_configuration_says(text):
    """The port that is read before the parser is imported is the one that the parser reads, or none."""
    config = parse(None, file="config.yaml", environ={"SECRETS_CACHE_PORT": text})

    assert read_port(text) in {None, config.port}
    assert bool(config.problems) == (config.port == 8080)
    if config.problems:
        assert read_port(text) is None


@given(st.text("0123456789_+-. ٣", max_size=12))
def test_any_text_is_read_as_the_configuration_reads_it(text):
    """No text is a port here and a problem there, or another port."""
    text = text.strip()
    config = parse(None, file="config.yaml", environ={"SECRETS_CACHE_PORT": text})

    assert read_port(text) in {None, config.port}
    assert read_port(text) is None or not config.problems


@pytest.mark.parametrize("form", ["000{}", "000000000000{}"])
def test_leading_zeros_change_nothing(client, make, form):
    """Neither the port nor whether it is right, for both ports."""
    port, aws_port = free_port(), free_port()
    ports = {"SECRETS_CACHE_PORT": port, "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": aws_port}
    startup = make(**{name: form.format(number) for name, number in ports.items()})
    startup.bind_and_register(client)

    assert (port, aws_port) == (startup.port, startup.aws_port)
    assert () == startup.parse_config().problems
    assert is_open(port)
    assert is_open(aws_port)


def test_a_port_that_is_taken_is_a_failure_to_log(client, make):
    """The registration is made all the same."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        startup = make(SECRETS_CACHE_PORT=str(port))
        startup.bind_and_register(client)
        startup.open_sockets()
        close(startup)

    ((event, failed_port, error),) = startup.failures
    assert ("server.not_listening", port, "Address already in use") == (event, failed_port, error.strerror)
    assert [] == startup.sockets
    assert {} == startup.list_bound_ports()
    assert startup.registered_at


@pytest.mark.parametrize("is_shared", [True, False])
def test_the_ports_that_were_bound(client, make, is_shared):
    """One port for both protocols is bound once, and counts for both."""
    port = free_port()
    aws_port = port if is_shared else free_port()
    startup = make(SECRETS_CACHE_PORT=str(port), PARAMETERS_SECRETS_EXTENSION_HTTP_PORT=str(aws_port))
    startup.bind_and_register(client)

    assert {"port": port, "aws_port": aws_port} == startup.list_bound_ports()


def test_a_registration_that_fails_is_a_failure_to_log(api, client, make):
    """It is not repeated here: `/event/next` registers first."""
    api.answers["/register"] = [(500, {}, b"no")]
    startup = make()
    startup.bind_and_register(client)
    startup.bind_and_register(client)

    ((event, port, error),) = startup.failures
    assert ("extensions_api.failed", startup.port) == (event, port)
    assert "status 500: no" in str(error)
    assert ["/register"] == api.paths()


def test_the_ports_stay_open_between_two_attempts(client, make):
    """A caller that a failed attempt has not accepted is accepted by the next one."""
    startup = make()
    startup.bind_and_register(client)
    startup.open_sockets()
    with socket.create_connection(("127.0.0.1", startup.port)) as caller:
        close(startup)
        startup.open_sockets()
        accepted, address = startup.sockets[0].accept()
        accepted.close()
        assert caller.getsockname() == address
    close(startup)


def test_the_wrapper_is_answered_by_the_first_attempt_only(api, client, make):
    """After that it fetches by itself; so does one that comes before an attempt, once the channel is closed."""
    startup = make()
    startup.bind_and_register(client)
    startup.open_sockets()
    (listener,) = startup.channel
    assert CHANNEL + api.address.encode() == listener.getsockname()
    close(startup)
    startup.open_sockets()
    assert [] == startup.channel
    close(startup)

    other = make()
    other.bind_and_register(client)
    other.close_channel()
    other.open_sockets()
    assert [] == other.channel
    close(other)


def test_the_fallback_gets_all_ports_even_if_none_was_bound_before(make):
    """Whatever failed, callers shall not be refused."""
    startup = make(PARAMETERS_SECRETS_EXTENSION_HTTP_PORT=str(free_port()))
    startup.port, startup.aws_port = free_port(), free_port()
    sockets = startup.open_fallback_sockets()

    assert {startup.port, startup.aws_port} == {listener.getsockname()[1] for listener in sockets}
    for listener in sockets:
        listener.close()
    assert is_open(startup.port)


def test_closed_ports_refuse(client, make):
    """When nothing can answer, callers must not wait."""
    startup = make()
    startup.bind_and_register(client)
    before = len(list(Path("/proc/self/fd").iterdir()))
    startup.close_ports()

    assert not is_open(startup.port)
    assert before > len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"secrets: [a]", False),
        (b"server: {port: 1}", True),
        (b'server: {"p\\x6frt": 1}', True),
        (b"secrets: [transport]", True),
        (b"", False),
    ],
)
def test_whether_a_port_can_be_named_is_judged_without_the_parser(tmp_path, data, expected):
    """A wrong yes costs time, a wrong no the port; so it is yes in doubt."""
    file = tmp_path / "config.yaml"
    file.write_bytes(data)

    assert expected is may_set_port(read_config({}, str(file)))
    assert not may_set_port(read_config({}, str(tmp_path / "none")))


def test_a_port_in_the_variable_counts_as_one_in_the_file(client, make):
    """SECRETS_CACHE_CONFIG_YAML replaces the file, and is parsed early if it may set a port."""
    port, aws_port = free_port(), free_port()
    text = f"server: {{port: {port}, aws_port: {aws_port}}}"
    startup = make("server: {aws_port: 1}", SECRETS_CACHE_PORT="", SECRETS_CACHE_CONFIG_YAML=text)
    startup.bind_and_register(client)

    assert (port, aws_port) == (startup.port, startup.aws_port)
    assert is_open(port)
    assert may_set_port(read_config({"SECRETS_CACHE_CONFIG_YAML": text}))
    assert not may_set_port(read_config({"SECRETS_CACHE_CONFIG_YAML": "secrets: [a]"}))
