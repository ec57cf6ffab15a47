"""
A function whose variables come from a secret and from a second layer.

Before: make layer ARCH=x86_64. Then: cdk deploy --app "python app.py".
"""

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_

HERE = Path(__file__).resolve().parent
SECRET = "example_secret"  # a JSON secret with the keys that lambda_function.py names

app = cdk.App()
stack = cdk.Stack(app, "SecretsCacheEnvironmentExample")
layer_zip = app.node.try_get_context("layer_zip") or HERE.parents[1] / "dist" / "secrets-cache-layer-x86_64.zip"

layer = lambda_.LayerVersion(
    stack,
    "SecretsCache",
    description="Keeps secrets in memory and serves them on localhost",
    license="Apache-2.0",
    code=lambda_.Code.from_asset(str(layer_zip)),
    compatible_architectures=[lambda_.Architecture.X86_64],
)
second_layer = lambda_.LayerVersion(stack, "SecondLayer", code=lambda_.Code.from_asset(str(HERE / "second_layer")))

function = lambda_.Function(
    stack,
    "Function",
    runtime=lambda_.Runtime.PYTHON_3_13,
    architecture=lambda_.Architecture.X86_64,
    handler="lambda_function.lambda_handler",
    code=lambda_.Code.from_asset(str(HERE), exclude=["*", "!lambda_function.py"]),
    memory_size=256,
    timeout=cdk.Duration.seconds(15),
    layers=[layer, second_layer],
    environment={
        "AWS_LAMBDA_EXEC_WRAPPER": "/opt/get-secrets-layer",
        "SECRETS_CACHE_NEXT_WRAPPER": "/opt/second-example-layer",
        "SECRET_ARN": SECRET,
    },
)

function.add_to_role_policy(
    iam.PolicyStatement(
        actions=["secretsmanager:GetSecretValue"],
        resources=[
            stack.format_arn(
                service="secretsmanager",
                resource="secret",
                resource_name=f"{SECRET}-??????",
                arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
            )
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
