"""
What GitHub reads: the workflows, held to the Makefile and to the rules of docs/releasing.md.

Rules
-----
1. A step that runs a command runs one make target, so that each step can be tried on one machine.
2. Values of GitHub reach make by the environment, never by the text of a command.
3. An action is pinned by its commit, with its version beside it.
4. A job has the rights that it needs and no others; which, and which actions use them, is in the table below.

That the files are of GitHub's form is what `make workflows` checks. That GitHub runs them is not tested.
"""

import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.processes import make
from tools.emulator import ROOT

GITHUB = ROOT / ".github"
FILES = sorted((GITHUB / "workflows").glob("*.yml"))
COMMAND = re.compile(r"make [a-z-]+(?: [A-Z]+=[\w./-]+)*")
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
# Every right to write, or to speak for this repository, that any job has.
RIGHTS = {
    ("publish", "publish"): {"id-token"},
    ("release", "attest"): {"attestations", "id-token"},
    ("release", "github-release"): {"contents"},
    ("release", "image"): {"packages"},
    ("release", "pypi"): {"id-token"},
}


def read(file: Path) -> dict[str, Any]:
    """Return a YAML file; `on` stays a text."""
    loaded: dict[str, Any] = yaml.load(file.read_text(encoding="utf-8"), yaml.BaseLoader)
    return loaded


def jobs() -> list[tuple[str, str, dict[str, Any]]]:
    """Return every job: the workflow's name, its own, and what it is."""
    return [(file.stem, name, job) for file in FILES for name, job in read(file)["jobs"].items()]


def steps(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a job's steps; none, if it calls a workflow."""
    return list(job.get("steps", ()))


def targets() -> set[str]:
    """Return the targets that `make help` lists."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))


COMMANDS = sorted({step["run"] for _, _, job in jobs() for step in steps(job) if "run" in step})
HOOKS = {hook["id"]: hook for repo in read(ROOT / ".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]}


def test_the_workflows_are_those_that_the_page_describes():
    """docs/releasing.md says of each what it does, and of nothing else."""
    page = (ROOT / "docs" / "releasing.md").read_text(encoding="utf-8")

    assert {file.name for file in FILES} == set(re.findall(r"^\| `([\w-]+\.yml)`", page, re.MULTILINE))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_one_make_target_that_there_is(command):
    """No shell in a workflow: no pipe, no second command, no expression; what it does can be tried by hand."""
    assert COMMAND.fullmatch(command)
    assert command.split()[1] in targets()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_action_is_pinned_by_its_commit(file):
    """A tag can be moved, a commit cannot; the comment is for people and for Dependabot. Our own files need no pin."""
    used = re.findall(r"uses: (.+)", file.read_text(encoding="utf-8"))

    assert used
    for text in used:
        if text.startswith("./"):
            assert (ROOT / text.split()[0]).is_file()
        else:
            assert PINNED.fullmatch(text)


def test_an_action_has_one_commit_in_all_workflows():
    """Two versions of one action would be reviewed twice."""
    used = {text for file in FILES for text in re.findall(r"uses: (\w.+)", file.read_text(encoding="utf-8"))}

    assert len({text.partition("@")[0] for text in used}) == len(used)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_workflow_grants_nothing_but_reading_and_is_bounded(file):
    """What is not declared at the top would be the repository's default, which may be everything."""
    workflow = read(file)

    assert workflow["permissions"] in ({}, "", {"contents": "read"})
    assert workflow["concurrency"]["group"]
    assert {"pull_request_target", "workflow_run"}.isdisjoint(workflow["on"])


def test_only_these_jobs_may_write_or_speak_for_the_repository():
    """Each right is in the table, and each line of the table is used."""
    granted = {
        (workflow, name): {right for right, level in job.get("permissions", {}).items() if level == "write"}
        for workflow, name, job in jobs()
    }

    assert {job: rights for job, rights in granted.items() if rights} == RIGHTS
    assert {"read", "write"} >= {level for _, _, job in jobs() for level in job.get("permissions", {}).values()}


@pytest.mark.parametrize(("workflow", "name", "job"), [pytest.param(*job, id="-".join(job[:2])) for job in jobs()])
def test_a_job_ends_in_time_and_keeps_no_token_in_the_checkout(workflow, name, job):
    """A job that hangs would run for six hours; a token in .git/config could be read by all that a build runs."""
    assert "uses" in job or 0 < int(job["timeout-minutes"]) <= 60
    for step in steps(job):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert "false" == step["with"]["persist-credentials"]


def test_a_job_that_may_be_trusted_by_others_builds_nothing():
    """Who can sign or upload as this workflow runs actions alone; but AWS's does what `make publish` says."""
    for workflow, name, job in jobs():
        if "id-token" in RIGHTS.get((workflow, name), set()) and workflow != "publish":
            assert not [step for step in steps(job) if "run" in step or "checkout" in step["uses"]]


def test_publishing_elsewhere_waits_for_an_environment():
    """PyPI and AWS trust a job of that environment only, and there somebody can be asked first."""
    environments = {(workflow, name): job["environment"] for workflow, name, job in jobs() if "environment" in job}

    assert {("publish", "publish"), ("release", "pypi")} == set(environments)
    assert "aws" == environments["publish", "publish"]
    assert "pypi" == environments["release", "pypi"]["name"]


def test_unit_tests_run_on_every_version_that_the_package_names():
    """A version that pyproject.toml promises is one that is tested."""
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["classifiers"]
    promised = [line.rpartition(" ")[2] for line in classifiers if line.startswith("Programming Language :: Python ::")]

    assert promised == read(GITHUB / "workflows" / "ci.yml")["jobs"]["unit"]["strategy"]["matrix"]["python"]


def test_a_release_is_compared_with_zips_of_their_own_kind_of_machine():
    """Both zips come from a runner of their architecture; what is published was built again, to the same bytes."""
    release = read(GITHUB / "workflows" / "release.yml")["jobs"]
    runners = {kind["arch"]: kind["runner"] for kind in release["layer"]["strategy"]["matrix"]["include"]}

    assert {"x86_64": "ubuntu-24.04", "arm64": "ubuntu-24.04-arm"} == runners
    assert {"ci", "layer"} == set(release["build"]["needs"])
    assert "make release COMPARE=.cache/layers" in [step.get("run") for step in release["build"]["steps"]]
    (download,) = [step for step in release["build"]["steps"] if "download-artifact" in step.get("uses", "")]
    assert ("layer-*", ".cache/layers") == (download["with"]["pattern"], download["with"]["path"])


def test_a_hook_calls_a_make_target_that_there_is():
    """What is checked before a commit is what is checked after it."""
    assert HOOKS
    for hook in HOOKS.values():
        assert "system" == hook["language"]
        assert COMMAND.fullmatch(hook["entry"])
        assert hook["entry"].split()[1] in targets()


@pytest.mark.parametrize("name", ["bug.yml", "feature.yml"])
def test_a_form_begins_with_a_warning_of_secrets(name):
    """Who reports a problem of a secret's has that secret at hand."""
    first = read(GITHUB / "ISSUE_TEMPLATE" / name)["body"][0]["attributes"]["value"]

    assert first.startswith("**Never paste a secret, a token or a credential.**")


@pytest.mark.parametrize(
    ("ci", "code", "end"), [("", 0, "skipped; CI has it"), ("true", 2, "install Go")], ids=["elsewhere", "in CI"]
)
def test_without_go_actionlint_is_left_out_but_not_in_ci(ci, code, end):
    """It is said in one line. A check that CI leaves out is no check."""
    done = make("actionlint", "GO=", CI=ci)

    assert code == done.returncode
    assert f"actionlint: there is no go in PATH to build it with: {end}\n" == done.stdout


@pytest.mark.parametrize("restricted", [True, False])
def test_namespaces_are_allowed_where_they_are_restricted(tmp_path, restricted):
    """Ubuntu's switch is turned, as root; where there is none, nothing is done, and root is not asked for."""
    switch = tmp_path / "switch"
    if restricted:
        switch.write_text("1\n")
    (tmp_path / "sudo").write_text('#!/bin/sh\necho "sudo $*"\nexec "$@"\n')
    (tmp_path / "sudo").chmod(0o755)

    done = make("namespaces", f"RESTRICTION={switch}", PATH=f"{tmp_path}:{os.environ['PATH']}")

    assert 0 == done.returncode
    if restricted:
        assert (["sudo tee " + str(switch), "0"], "0\n") == (done.stdout.splitlines(), switch.read_text())
    else:
        assert f"Nothing to do: this machine has no {switch}\n" == done.stdout
