"""
What is asked of Lambda, through the AWS CLI, version 1 or 2: the credentials are those that it finds.

Rule: an answer is JSON; a failure is what the CLI said, on one line.
"""

import json
import os
import shutil
import subprocess
from typing import Any

from tools.publish import PublishError
from tools.publish.archives import Archive
from tools.publish.runtimes import COMPATIBLE

# As deploy.sh has them: what one of the two has published or shared, the other finds.
DESCRIPTION = "Keeps secrets in memory and serves them on localhost"
LICENCE = "Apache-2.0"
STATEMENT = "secrets-cache-public"
# What the CLI says when it has no credentials at all, whatever the region; version 2 then also exits with 253.
NO_CREDENTIALS = (
    "Unable to locate credentials",
    "Partial credentials found",
    "The config profile",
    "Error loading SSO Token",
    "Token has expired and refresh failed",
)
EXIT_NO_CREDENTIALS = 253


class AwsError(Exception):
    """A call failed; the text is what the AWS CLI said."""


class NoCredentials(Exception):
    """The AWS CLI has no credentials, or none any more; no region would do better."""


def check() -> None:
    """
    See that there is an AWS CLI.

    Raises:
        PublishError: There is none.
    """
    if shutil.which("aws") is None:
        raise PublishError(
            "this needs the program 'aws', which is not in PATH; the AWS CLI comes from https://aws.amazon.com/cli"
        )


def versions(region: str, layer: str) -> list[dict[str, Any]]:
    """Return the published versions of a layer, as ListLayerVersions has them, without their sums."""
    found: list[dict[str, Any]] = _call(region, "LayerVersions", "list-layer-versions", "--layer-name", layer)
    return found


def code_sha256(region: str, layer: str, version: int) -> str:
    """Return the sum of a layer version, in base 64."""
    number = ("--version-number", str(version))
    return str(_call(region, "Content.CodeSha256", "get-layer-version", "--layer-name", layer, *number))


def publish(region: str, layer: str, archive: Archive) -> str:
    """Publish a layer version; return its ARN."""
    arn = _call(
        region, "LayerVersionArn", "publish-layer-version", "--layer-name", layer,
        "--description", description_of(archive), "--license-info", LICENCE,
        "--compatible-architectures", archive.architecture, "--compatible-runtimes", *COMPATIBLE, "--zip-file", f"fileb://{archive.path.resolve()}",
    )  # fmt: skip
    return str(arn)


def description_of(archive: Archive) -> str:
    """Return the description of the layer version that is made of a zip."""
    return f"{DESCRIPTION} ({archive.version})"


def policy(region: str, layer: str, version: int) -> str:
    """Return the policy of a layer version as JSON; empty if it has none."""
    try:
        number = ("--version-number", str(version))
        return str(_call(region, "Policy", "get-layer-version-policy", "--layer-name", layer, *number))
    except AwsError as error:
        if "ResourceNotFoundException" in str(error):
            return ""
        raise


def share(region: str, layer: str, version: int) -> None:
    """Let every AWS account use a layer version."""
    _call(
        region, "Statement", "add-layer-version-permission", "--layer-name", layer, "--version-number", str(version),
        "--statement-id", STATEMENT, "--action", "lambda:GetLayerVersion", "--principal", "*",
    )  # fmt: skip


def _call(region: str, field: str, *arguments: str) -> Any:  # noqa: ANN401 - whatever the field holds
    """Call Lambda; return a field of the answer, named by a path such as `Content.CodeSha256`."""
    done = subprocess.run(
        ["aws", "lambda", *arguments, "--region", region, "--output", "json"],
        env={**os.environ, "AWS_PAGER": "", "AWS_CLI_AUTO_PROMPT": "off", "PYTHONUTF8": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    said = " ".join(done.stderr.split())
    if done.returncode == EXIT_NO_CREDENTIALS or any(words in said for words in NO_CREDENTIALS):
        raise NoCredentials(f"the AWS CLI has no credentials: {said} Give it some (aws configure), and try again")
    if done.returncode != 0:
        raise AwsError(said or f"the AWS CLI ended with {done.returncode} and said nothing")
    try:
        answer = json.loads(done.stdout)
        for name in field.split("."):
            answer = answer[name]
    except (ValueError, KeyError, TypeError):
        raise AwsError(f"the AWS CLI answered without {field}: {done.stdout[:100]!r}") from None
    return answer
