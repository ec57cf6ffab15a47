"""The files that the commands read."""

import pytest

from secrets_cache.cli.inputs import UnusableVariables, read_function_variables


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# nothing\n", {}),
        ("A=1\n# B=2\n\nC=x=y\nno\n", {"A": "1", "C": "x=y"}),
        ("A=1\0B=two\nlines\0", {"A": "1", "B": "two\nlines"}),
        ('{"A": "1"}', {"A": "1"}),
        ('{"Variables": {"A": "1"}}', {"A": "1"}),
        ('{"FunctionName": "f", "Environment": {"Variables": {"A": "1"}}}', {"A": "1"}),
        ("null\n", {}),
        ('{"Configuration": {"FunctionName": "f", "Environment": {"Variables": {"A": "1"}}}, "Code": {}}', {"A": "1"}),
        ('{"FunctionArn": "arn", "CodeSha256": "x", "MemorySize": 128}', {}),
        ('{"Environment": "prod", "Variables": "x"}', {"Environment": "prod", "Variables": "x"}),
        ("{=1", {"{": "1"}),
        ("\ufeffA=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("A=1\r\nB=2\n", {"A": "1\r", "B": "2"}),
        ('\ufeff{"A": "1"}', {"A": "1"}),
        ("export A=1\n", {"A": "1"}),
    ],
)
def test_the_functions_variables_are_read_in_each_form(tmp_path, text, expected):
    """The output of the AWS CLI, the output of `env`, or an environment file."""
    file = tmp_path / "variables"
    file.write_text(text, encoding="utf-8")

    assert expected == read_function_variables(str(file))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "the input is empty"),
        (" \n", "the input is empty"),
        ("garbage\n", "neither JSON nor NAME=value entries"),
        ("{broken", "neither JSON nor NAME=value entries"),
        ('{"MyFunction": {"A": "1"}}', "JSON without variables"),
        ("[1, 2]", "neither JSON nor NAME=value entries"),
        (
            '{"Environment": {"Error": {"ErrorCode": "AccessDeniedException", "Message": "kms"}}}',
            "AWS could not read the variables: AccessDeniedException: kms",
        ),
        ('{"Error": {"ErrorCode": "A", "Message": "b"}}', "AWS could not read the variables: A: b"),
        ('{"A": "1", "CACHE_TIMEOUT": 5}', "the value of 'CACHE_TIMEOUT' is not text"),
    ],
)
def test_an_input_without_variables_is_not_taken_as_none(tmp_path, text, expected):
    """An empty pipe, a broken command, or an answer of AWS that holds an error."""
    file = tmp_path / "variables"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(UnusableVariables, match=expected):
        read_function_variables(str(file))
