"""The edge of the extension's process; what it then does is tested as a process, in `tests/process`."""

import pytest

from secrets_cache.extension.start import main


@pytest.mark.parametrize(
    ("address", "arguments"),
    [
        ("127.0.0.1:9", []),
        ("127.0.0.1:9", ["secrets-cache", "more"]),
        ("", ["secrets-cache"]),
    ],
    ids=["no name", "two names", "outside Lambda"],
)
def test_started_in_the_wrong_way_it_explains_the_right_one(monkeypatch, capfd, address, arguments):
    """Exit code 2, and one line that names the command for use outside Lambda."""
    monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", address)
    monkeypatch.setattr("sys.argv", ["-c", *arguments])

    with pytest.raises(SystemExit) as ended:
        main()

    written = capfd.readouterr()
    assert (2, "", 1) == (ended.value.code, written.out, written.err.count("\n"))
    assert "started by AWS Lambda" in written.err
    assert "`secrets-cache serve`" in written.err
