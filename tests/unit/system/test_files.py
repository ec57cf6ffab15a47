"""The configuration file, as bytes."""

import os

import pytest

from secrets_cache.system.files import MAX_BYTES, read_config, read_config_file


def test_the_file_is_the_named_one_else_the_variables_else_the_functions(tmp_path):
    """Argument, SECRETS_CACHE_CONFIG, LAMBDA_TASK_ROOT, /var/task: in this order."""
    (tmp_path / "config.yaml").write_bytes(b"task")
    (tmp_path / "variable.yaml").write_bytes(b"variable")
    (tmp_path / "argument.yaml").write_bytes(b"argument")
    task = {"LAMBDA_TASK_ROOT": str(tmp_path)}
    variable = {**task, "SECRETS_CACHE_CONFIG": str(tmp_path / "variable.yaml")}

    assert b"task" == read_config(task).data
    assert b"task" == read_config({**task, "SECRETS_CACHE_CONFIG": ""}).data
    assert b"variable" == read_config(variable).data
    assert b"argument" == read_config(variable, str(tmp_path / "argument.yaml")).data
    assert "/var/task/config.yaml" == read_config({}).path
    assert "/var/task/config.yaml" == read_config({"LAMBDA_TASK_ROOT": ""}).path


def test_no_file_is_no_problem_unless_one_was_named(tmp_path):
    """Secrets may come from elsewhere; a name that leads nowhere is a mistake."""
    file = read_config({"LAMBDA_TASK_ROOT": str(tmp_path)})

    assert (None, None) == (file.data, file.unreadable)
    assert "no such file" == read_config({"SECRETS_CACHE_CONFIG": str(tmp_path / "none")}).unreadable


def test_what_is_no_regular_file_is_not_waited_for(tmp_path):
    """A folder, a pipe nobody writes to, a device without an end, a name no file can have."""
    os.mkfifo(tmp_path / "pipe")

    assert "it is not a regular file" == read_config({}, str(tmp_path)).unreadable
    assert "it is not a regular file" == read_config({}, str(tmp_path / "pipe")).unreadable
    assert "it is not a regular file" == read_config({}, "/dev/zero").unreadable
    assert "embedded null" in str(read_config({}, "a\0b").unreadable)
    assert "Input/output error" == read_config({}, "/proc/self/mem").unreadable


def test_a_file_that_is_too_large_is_not_read_to_its_end(tmp_path):
    """The bound is part of the text."""
    large = tmp_path / "large"
    large.write_bytes(b"#" * (MAX_BYTES + 1))

    assert f"it is larger than {MAX_BYTES} bytes" == read_config({}, str(large)).unreadable
    large.write_bytes(b"#" * MAX_BYTES)
    assert MAX_BYTES == len(read_config({}, str(large)).data or b"")


def test_a_file_that_may_not_be_read(tmp_path):
    """The reason is the system's own."""
    file = tmp_path / "config.yaml"
    file.write_bytes(b"")
    file.chmod(0)
    if os.access(file, os.R_OK):
        pytest.skip("this user may read everything")

    assert "Permission denied" == read_config({}, str(file)).unreadable


def test_the_text_in_a_variable_replaces_the_file(tmp_path):
    """The file need not exist, and none is read, also where one is named; a blank variable is none."""
    (tmp_path / "config.yaml").write_bytes(b"file")
    task = {"LAMBDA_TASK_ROOT": str(tmp_path)}
    variable = {**task, "SECRETS_CACHE_CONFIG_YAML": "secrets: [\u00fc\udcff]"}
    file = read_config(variable, "nowhere")

    assert ("SECRETS_CACHE_CONFIG_YAML", b"secrets: [\xc3\xbc\xff]", True) == (file.path, file.data, file.exists)
    assert b"file" == read_config({**task, "SECRETS_CACHE_CONFIG_YAML": " \n"}).data
    assert b"file" == read_config_file(variable).data
    too_large = read_config({"SECRETS_CACHE_CONFIG_YAML": "#" * (MAX_BYTES + 1)})
    assert (None, f"it is larger than {MAX_BYTES} bytes") == (too_large.data, too_large.unreadable)
