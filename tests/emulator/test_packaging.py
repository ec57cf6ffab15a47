"""The packages of docs/deploy.md have config.yaml where the extension looks; Spring Boot finds the variables."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from tests.support.fakes import CANARY
from tests.support.pages import VARIABLES, blocks_of
from tests.support.processes import run
from tests.support.runtimes import (
    CLIENTS,
    EXAMPLES,
    PORT_IN_EXAMPLES,
    build,
    java_command,
    maven_libraries,
    npm_programs,
    require,
)
from tools.emulator import Emulator, free_port


@pytest.fixture(name="works")
def _works(opt, upstream):
    """Give a function that runs a package as it is in /var/task, with no variable that names config.yaml."""
    upstream.put("secret_now", json.dumps({"password": CANARY}))

    def works(task: Path, command: list[str], port: int) -> bool:
        environ = {"AWS_ENDPOINT_URL": upstream.url, "SECRETS_CACHE_PORT": str(port)}
        with Emulator(opt=opt, task=task, runtime=command, environ=environ) as emulator:
            result = emulator.invoke({})
            emulator.shut_down()
        return bool(result == {"statusCode": 200, "passwordLength": len(CANARY)})

    return works


def copy(source: Path, target: Path, port: int) -> None:
    """Copy an example's file, with a port of the test's."""
    target.write_text(source.read_text("utf-8").replace(PORT_IN_EXAMPLES, f"localhost:{port}"), "utf-8")


@pytest.mark.timeout(600)
def test_a_jar_with_the_file_among_its_resources(works, tmp_path):
    """Maven puts resources at the top of the jar, which Lambda unpacks into /var/task."""
    require("java", "java", "mvn")
    port = free_port()
    project, task = tmp_path / "example" / "java", tmp_path / "task"
    project.mkdir(parents=True)
    for name in ("Handler.java", "pom.xml"):
        copy(EXAMPLES / "java" / name, project / name, port)
    shutil.copy(EXAMPLES / "config.yaml", project.parent)
    build(["mvn", "--quiet", "--batch-mode", "package"], project)
    with zipfile.ZipFile(project / "target" / "example-function-1.jar") as jar:
        jar.extractall(task)

    assert (task / "config.yaml").is_file()
    assert works(task, java_command(str(task)), port)


@pytest.mark.timeout(600)
def test_a_bundle_with_the_file_as_an_entry_point(works, tmp_path):
    """Esbuild's loader `copy` puts it next to the bundle, byte for byte."""
    require("esbuild", "node", "npm", "make", "cmake", "g++")
    port = free_port()
    project, task = tmp_path / "project", tmp_path / "task"
    project.mkdir()
    copy(EXAMPLES / "index.mjs", project / "index.mjs", port)
    shutil.copy(EXAMPLES / "config.yaml", project)
    options = ["--bundle", "--minify", "--platform=node", "--format=esm", "--out-extension:.js=.mjs"]
    entries = ["index.mjs", "config.yaml", "--loader:.yaml=copy"]
    build([npm_programs("esbuild") / "esbuild", *entries, *options, f"--outdir={task}"], project)

    assert {"index.mjs", "config.yaml"} == {path.name for path in task.iterdir()}
    assert (EXAMPLES / "config.yaml").read_bytes() == (task / "config.yaml").read_bytes()
    assert works(task, [str(npm_programs("node") / "aws-lambda-ric"), "index.handler"], port)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("has_properties", [False, True], ids=["by its name", "by a property"])
def test_spring_boot_finds_the_variables(script, upstream, tmp_path, has_properties):
    """By the variable that has the property's name, or by the page's application.properties."""
    require("spring", "java", "mvn")
    for source in (CLIENTS / "spring").iterdir():
        shutil.copy(source, tmp_path)
    (block,) = blocks_of(VARIABLES, "properties")
    resources = tmp_path / "src" / "main" / "resources"
    resources.mkdir(parents=True)
    (resources / "application.properties").write_text(block.text if has_properties else "", encoding="utf-8")
    build(["mvn", "--quiet", "--batch-mode", "package"], tmp_path)
    upstream.put("prod/db", json.dumps({"username": "anika", "password": f"{CANARY} p$w{{x}}#"}))
    own = ("DB_PASSWORD", "DB_USERNAME") if has_properties else ("SPRING_DATASOURCE_PASSWORD", "UNUSED")
    references = ("secretsmanager://prod/db#password", "secretsmanager://prod/db#username")
    classes = f"{tmp_path}/target/spring-1.jar:{maven_libraries('spring')}/*"
    done = run(
        *(script, "java", "-cp", classes, "example.Application", tmp_path / "found"),
        AWS_LAMBDA_EXEC_WRAPPER=str(script),
        AWS_ENDPOINT_URL=upstream.url,
        **dict(zip(own, references, strict=True)),
    )

    assert 0 == done.returncode, done.stdout + done.stderr
    assert f"{CANARY} p$w{{x}}#" == (tmp_path / "found").read_text(encoding="utf-8")
