"""One function with the secrets-cache layer. Before: make layer ARCH=x86_64. Then: cdk deploy --app "python app.py"."""

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_

EXAMPLE = Path(__file__).resolve().parent.parent
SECRETS = ["secret_now"]  # as in config.yaml

app = cdk.App()
stack = cdk.Stack(app, "SecretsCacheExample")
layer_zip = app.node.try_get_context("layer_zip") or EXAMPLE.parent / "dist" / "secrets-cache-layer-x86_64.zip"

layer = lambda_.LayerVersion(
    stack,
    "SecretsCache",
    description="Keeps secrets in memory and serves them on localhost",
    license="Apache-2.0",
    code=lambda_.Code.from_asset(str(layer_zip)),
    compatible_architectures=[lambda_.Architecture.X86_64],
)

function = lambda_.Function(
    stack,
    "Function",
    runtime=lambda_.Runtime.PYTHON_3_13,
    architecture=lambda_.Architecture.X86_64,
    handler="lambda_function.lambda_handler",
    code=lambda_.Code.from_asset(str(EXAMPLE), exclude=["*", "!lambda_function.py", "!config.yaml"]),
    memory_size=256,
    timeout=cdk.Duration.seconds(15),
    layers=[layer],
    environment={"CACHE_TIMEOUT": "10"},
)

function.add_to_role_policy(
    iam.PolicyStatement(
        actions=["secretsmanager:GetSecretValue"],
        resources=[
            stack.format_arn(
                service="secretsmanager",
                resource="secret",
                resource_name=f"{name}-??????",
                arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
            )
            for name in SECRETS
        ],
    )
)
# Only needed for secrets that are encrypted with a key of yours.
function.add_to_role_policy(
    iam.PolicyStatement(
        actions=["kms:Decrypt"],
        resources=["*"],
        conditions={"StringEquals": {"kms:ViaService": f"secretsmanager.{stack.region}.amazonaws.com"}},
    )
)
cdk.CfnOutput(stack, "FunctionArn", value=function.function_arn)

app.synth()
