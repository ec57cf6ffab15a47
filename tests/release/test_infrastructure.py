"""
The examples of infrastructure as code, checked by what runs without AWS.

SAM by cfn-lint, and packaged by the AWS CLI; Terraform by an HCL parser; the CDK app by running it; the Dockerfiles by
their instructions. That AWS, Terraform's AWS provider and Docker take them is not tested.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import boto3
import pytest

from secrets_cache import __version__
from secrets_cache.config import parse
from tests.support.aws_cli import CLI, cli_environ, set_up_the_cli, zip_of
from tests.support.processes import run
from tools.emulator import ROOT, moto_server
from tools.publish.archives import ARCHITECTURES
from tools.publish.awscli import DESCRIPTION, LICENCE
from tools.publish.runtimes import COMPATIBLE

EXAMPLE = ROOT / "example_function"
ENVIRONMENT = EXAMPLE / "environment"
SECRETS = [secret.name for secret in parse((EXAMPLE / "config.yaml").read_bytes(), file="", environ={}).secrets]
RELEASE = ROOT / "tools" / "release"
HANDLER = "lambda_function.lambda_handler"


@pytest.fixture(scope="module", autouse=True)
def _tools() -> None:
    set_up_the_cli()


def in_deploy_environment(code: str, argument: Path) -> Any:
    """Run Python code where the tools are; return what it prints, from JSON."""
    done = run(CLI / "bin" / "python", "-c", code, argument)
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)


def template_of(path: Path) -> Any:
    """Return a CloudFormation template, with its functions in their long form."""
    code = """
import json, pathlib, sys
from awscli.customizations.cloudformation.yamlhelper import yaml_parse
print(json.dumps(yaml_parse(pathlib.Path(sys.argv[1]).read_text("utf-8"))))
"""
    return in_deploy_environment(code, path)


def instructions_of(dockerfile: Path) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile and their values, without comments."""
    code = """
import dockerfile_parse, json, sys
parser = dockerfile_parse.DockerfileParser(path=sys.argv[1])
print(json.dumps([[i["instruction"], i["value"]] for i in parser.structure if i["instruction"] != "COMMENT"]))
"""
    return [(kind, value) for kind, value in in_deploy_environment(code, dockerfile)]


# AWS SAM.


def test_the_templates_have_no_fault():
    """cfn-lint finds no error and no warning; it applies SAM's transformation first."""
    templates = [folder / "template.yaml" for folder in (EXAMPLE, ENVIRONMENT, RELEASE)]
    done = run(CLI / "bin" / "cfn-lint", "--include-checks", "I", "--", *templates)

    assert (0, "") == (done.returncode, done.stdout), done.stdout + done.stderr


def test_the_template_has_layer_environment_and_policy():
    """The function refers to the layer, sets the variable and may read the secret that config.yaml lists."""
    template = template_of(EXAMPLE / "template.yaml")
    layer, function = (template["Resources"][name]["Properties"] for name in ("SecretsCache", "Function"))
    read, decrypt = function["Policies"][0]["Statement"]

    assert "../dist/secrets-cache-layer-x86_64.zip" == layer["ContentUri"]
    assert [{"Ref": "SecretsCache"}] == function["Layers"]
    assert {"CACHE_TIMEOUT": {"Ref": "CacheTimeout"}} == function["Environment"]["Variables"]
    assert function["Architectures"] == layer["CompatibleArchitectures"]
    assert HANDLER == function["Handler"]
    assert "secretsmanager:GetSecretValue" == read["Action"]
    assert read["Resource"]["Fn::Sub"].endswith(":secret:${SecretName}-??????")
    assert SECRETS == [template["Parameters"]["SecretName"]["Default"]]
    assert "kms:Decrypt" == decrypt["Action"]
    assert {"StringEquals": {"kms:ViaService": {"Fn::Sub": "secretsmanager.${AWS::Region}.amazonaws.com"}}} == (
        decrypt["Condition"]
    )


# What the function of the second example has besides the secret's variables.
CHAIN = {
    "AWS_LAMBDA_EXEC_WRAPPER": "/opt/get-secrets-layer",
    "SECRETS_CACHE_NEXT_WRAPPER": "/opt/second-example-layer",
}


def test_the_template_of_the_environment_has_both_layers_and_the_chain():
    """The function has both layers, names the wrappers and the secret, and may read that secret."""
    template = template_of(ENVIRONMENT / "template.yaml")
    layer, second, function = (
        template["Resources"][name]["Properties"] for name in ("SecretsCache", "SecondLayer", "Function")
    )

    assert "../../dist/secrets-cache-layer-x86_64.zip" == layer["ContentUri"]
    assert (ENVIRONMENT / second["ContentUri"] / "second-example-layer").stat().st_mode & 0o111
    assert [{"Ref": "SecretsCache"}, {"Ref": "SecondLayer"}] == function["Layers"]
    assert {**CHAIN, "SECRET_ARN": {"Ref": "SecretName"}} == function["Environment"]["Variables"]
    assert HANDLER == function["Handler"]
    assert function["Policies"][0]["Statement"][0]["Resource"]["Fn::Sub"].endswith(":secret:${SecretName}-??????")


def test_the_layers_own_template_is_of_this_version():
    """Both layers have the version, the runtimes and the words that make publish gives a layer version."""
    template = template_of(RELEASE / "template.yaml")
    application = template["Metadata"]["AWS::ServerlessRepo::Application"]

    assert __version__ == application["SemanticVersion"]
    assert {"secrets-cache", "Apache-2.0"} == {application["Name"], application["SpdxLicenseId"]}
    assert ARCHITECTURES == tuple(template["Parameters"]["Architecture"]["AllowedValues"])
    assert {"IsArm64", "IsX8664"} == {layer["Condition"] for layer in template["Resources"].values()}
    for layer in template["Resources"].values():
        made = layer["Properties"]
        (architecture,) = made["CompatibleArchitectures"]
        assert {"Fn::Equals": [{"Ref": "Architecture"}, architecture]} == template["Conditions"][layer["Condition"]]
        assert f"../../dist/secrets-cache-layer-{architecture}.zip" == made["ContentUri"]
        assert list(COMPATIBLE) == made["CompatibleRuntimes"]
        assert f"{DESCRIPTION} ({__version__})" == made["Description"]
        assert LICENCE == made["LicenseInfo"]


def test_the_layers_own_template_can_be_packaged(tmp_path):
    """The AWS CLI finds the zips, the licence and the README from where the template is, and uploads each."""
    folder = tmp_path / "tools" / "release"
    folder.mkdir(parents=True)
    (tmp_path / "dist").mkdir()
    shutil.copy(RELEASE / "template.yaml", folder)
    for name in ("LICENSE", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    for architecture in ARCHITECTURES:
        (tmp_path / "dist" / f"secrets-cache-layer-{architecture}.zip").write_bytes(zip_of({"a": architecture}))
    with moto_server() as url:
        boto3.client("s3", endpoint_url=url, region_name="us-east-1").create_bucket(Bucket="bucket")
        done = run(
            *("aws", "cloudformation", "package", "--template-file", folder / "template.yaml"),
            *("--s3-bucket", "bucket", "--output-template-file", tmp_path / "packaged.yaml"),
            **cli_environ(AWS_ENDPOINT_URL=url, AWS_DEFAULT_REGION="us-east-1"),
        )
    assert 0 == done.returncode, done.stderr

    packaged = template_of(tmp_path / "packaged.yaml")
    application = packaged["Metadata"]["AWS::ServerlessRepo::Application"]
    uploaded = [layer["Properties"]["ContentUri"] for layer in packaged["Resources"].values()]
    assert 4 == len({*uploaded, application["LicenseUrl"], application["ReadmeUrl"]})
    assert all(
        address.startswith("s3://bucket/")
        for address in (*uploaded, application["LicenseUrl"], application["ReadmeUrl"])
    )


# Terraform.


def module_of(folder: Path) -> dict[str, Any]:
    """Return the variables, the resources and the data of a module, by their names."""
    code = """
import hcl2, json, sys
options = hcl2.SerializationOptions(strip_string_quotes=True, with_comments=False, explicit_blocks=False)
with open(sys.argv[1], encoding="utf-8") as file:
    print(json.dumps(hcl2.load(file, serialization_options=options)))
"""
    parsed = in_deploy_environment(code, folder / "main.tf")
    return {
        f"{kind}.{name}" if block == "resource" else f"{block}.{kind}.{name}": body
        for block in ("resource", "data")
        for item in parsed[block]
        for kind, named in item.items()
        for name, body in named.items()
    } | {f"var.{name}": body for item in parsed["variable"] for name, body in item.items()}


@pytest.fixture(scope="module", name="terraform")
def _terraform() -> dict[str, Any]:
    return module_of(EXAMPLE / "terraform")


def test_the_module_has_layer_environment_and_policy(terraform):
    """As the template; the policy has the secrets' complete ARNs."""
    function = terraform["aws_lambda_function.example"]
    read, decrypt = terraform["data.aws_iam_policy_document.secrets"]["statement"]

    assert ["${aws_lambda_layer_version.secrets_cache.arn}"] == function["layers"]
    assert [{"variables": {"CACHE_TIMEOUT": "${tostring(var.cache_timeout_minutes)}"}}] == function["environment"]
    assert HANDLER == function["handler"]
    assert (["secretsmanager:GetSecretValue"], "${local.secret_arns}") == (read["actions"], read["resources"])
    assert (["kms:Decrypt"], ["*"]) == (decrypt["actions"], decrypt["resources"])
    assert "kms:ViaService" == decrypt["condition"][0]["variable"]
    assert SECRETS == terraform["var.secret_names"]["default"]


@pytest.mark.parametrize("folder", [EXAMPLE / "terraform", ENVIRONMENT], ids=lambda folder: folder.name)
def test_every_name_in_the_module_is_defined(folder):
    """What is referred to is there; Terraform itself would be the judge, and cannot be had here."""
    terraform = module_of(folder)
    text = (folder / "main.tf").read_text(encoding="utf-8")
    resources = set(re.findall(r"(?<![\w.\"])(?:data\.)?(?:aws|archive)_\w+\.\w+", text))
    variables = set(re.findall(r"\bvar\.\w+", text))

    assert len(resources) > 5
    assert resources | variables <= set(terraform)
    assert {name for name in terraform if name.startswith("var.")} == variables


def test_the_files_that_the_module_packs_are_there(terraform):
    """The handler and config.yaml, from the example's folder."""
    packed = [source["filename"] for source in terraform["data.archive_file.code"]["source"]]

    assert ["lambda_function.py", "config.yaml"] == packed
    assert all((EXAMPLE / name).is_file() for name in packed)


def test_the_module_of_the_environment_has_both_layers_and_the_chain():
    """As the template; the second layer's wrapper can be executed."""
    terraform = module_of(ENVIRONMENT)
    function = terraform["aws_lambda_function.example"]
    read, _ = terraform["data.aws_iam_policy_document.secrets"]["statement"]
    arn = "${data.aws_secretsmanager_secret.example.arn}"

    assert ["${aws_lambda_layer_version.secrets_cache.arn}", "${aws_lambda_layer_version.second.arn}"] == (
        function["layers"]
    )
    assert [{"variables": {**CHAIN, "SECRET_ARN": arn}}] == function["environment"]
    assert [arn] == read["resources"]
    assert "0755" == terraform["data.archive_file.second_layer"]["output_file_mode"]


# AWS CDK.


needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="the CDK needs Node.js")


def synthesize(app: Path, folder: Path) -> dict[str, Any]:
    """Run a CDK app as it is, with a small zip for the layer; return its template."""
    layer_zip = folder / "layer.zip"
    layer_zip.write_bytes(zip_of({"extensions/secrets-cache": "1"}))
    done = run(
        *(CLI / "bin" / "python", app),
        CDK_OUTDIR=str(folder / "out"),
        CDK_CONTEXT_JSON=json.dumps({"layer_zip": str(layer_zip)}),
        CDK_DISABLE_VERSION_CHECK="1",
        JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION="1",
        PYTHONDONTWRITEBYTECODE="1",
    )
    assert 0 == done.returncode, done.stderr
    (template,) = (folder / "out").glob("*.template.json")
    return dict(json.loads(template.read_text(encoding="utf-8")))


@needs_node
def test_the_cdk_app_makes_layer_environment_and_policy(tmp_path):
    """Run as it is, with a small zip for the layer, it makes a template with the same parts, and the right code."""
    template = synthesize(EXAMPLE / "cdk" / "app.py", tmp_path)
    by_type = {resource["Type"]: (name, resource["Properties"]) for name, resource in template["Resources"].items()}
    layer, _ = by_type["AWS::Lambda::LayerVersion"]
    _, function = by_type["AWS::Lambda::Function"]
    read, decrypt = by_type["AWS::IAM::Policy"][1]["PolicyDocument"]["Statement"]
    packed = {path.name for path in (tmp_path / "out").glob("asset.*/*")}

    assert [{"Ref": layer}] == function["Layers"]
    assert {"CACHE_TIMEOUT": "10"} == function["Environment"]["Variables"]
    assert HANDLER == function["Handler"]
    assert "secretsmanager:GetSecretValue" == read["Action"]
    assert f":secret:{SECRETS[0]}-??????" == read["Resource"]["Fn::Join"][1][-1]
    assert ("kms:Decrypt", ["kms:ViaService"]) == (decrypt["Action"], [*decrypt["Condition"]["StringEquals"]])
    assert {"lambda_function.py", "config.yaml"} == packed


@needs_node
def test_the_cdk_app_of_the_environment_makes_both_layers_and_the_chain(tmp_path):
    """As the template; each asset holds what belongs to it, and the second layer's wrapper can be executed."""
    template = synthesize(ENVIRONMENT / "app.py", tmp_path)
    resources = template["Resources"].values()
    (function,) = (one["Properties"] for one in resources if one["Type"] == "AWS::Lambda::Function")
    layers = [name for name, one in template["Resources"].items() if one["Type"] == "AWS::Lambda::LayerVersion"]
    (policy,) = (one["Properties"] for one in resources if one["Type"] == "AWS::IAM::Policy")
    packed = {path.name: path for path in (tmp_path / "out").glob("asset.*/*")}

    assert [{"Ref": layer} for layer in layers] == function["Layers"]
    assert ["SecretsCache", "SecondLayer"] == [re.sub(r"[0-9A-F]{8}$", "", layer) for layer in layers]
    assert {**CHAIN, "SECRET_ARN": "example_secret"} == function["Environment"]["Variables"]
    assert ":secret:example_secret-??????" == (policy["PolicyDocument"]["Statement"][0]["Resource"]["Fn::Join"][1][-1])
    assert {"lambda_function.py", "second-example-layer"} == set(packed)
    assert packed["second-example-layer"].stat().st_mode & 0o111


# Container images.


def test_the_image_has_the_layers_tree_in_opt():
    """The zip of the layer is unpacked in one stage, and its tree becomes /opt in the last; nothing else goes there."""
    instructions = instructions_of(EXAMPLE / "Dockerfile")

    assert "FROM" == instructions[0][0]
    assert instructions[0][1].endswith(" AS layer")
    assert ("ARG", "ARCH=x86_64") in instructions
    assert ("COPY", "dist/secrets-cache-layer-${ARCH}.zip /layer.zip") in instructions
    assert ("RUN", "unzip -q /layer.zip -d /layer") in instructions
    assert ("COPY", "--from=layer /layer/ /opt/") in instructions
    assert 1 == sum(" /opt" in value for _, value in instructions)
    assert ("CMD", json.dumps([HANDLER])) in instructions
    for name in ("lambda_function.py", "config.yaml"):
        assert any(f"example_function/{name} " in value for kind, value in instructions if kind == "COPY")


def test_docker_is_given_what_the_example_copies():
    """.dockerignore shuts everything out but that: a file that is ignored cannot be copied."""
    ignored, *kept = [
        line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if not line.startswith("#")
    ]
    copied = [
        source.replace("${ARCH}", "*")
        for kind, value in instructions_of(EXAMPLE / "Dockerfile")
        if kind == "COPY" and not value.startswith("--from=")
        for source in value.split()[:-1]
    ]

    assert "*" == ignored
    assert sorted(f"!{source}" for source in copied) == sorted(kept)


def test_every_dockerfile_is_linted():
    """By make lint, which has a list of them."""
    (listed,) = re.findall(r"^DOCKERFILES := (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()

    assert [name for name in tracked if Path(name).name.startswith("Dockerfile")] == listed.split()
