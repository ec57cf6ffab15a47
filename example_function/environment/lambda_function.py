"""Show the variables that the wrappers of two layers have set. No code here knows of secrets."""

import os

OF_THE_SECRET = ("EXAMPLE_AUTH_TOKEN", "EXAMPLE_CLUSTER_ID", "EXAMPLE_CONNECTION_URL", "EXAMPLE_TENANT")


def lambda_handler(event, context):
    return {
        "statusCode": 200,
        "layer": {name: os.environ.get(name, "Not Set") for name in (*OF_THE_SECRET, "AWS_LAMBDA_EXEC_WRAPPER")},
        "secondLayer": {"SECOND_LAYER_EXECUTE": os.environ.get("SECOND_LAYER_EXECUTE", "Not Set")},
    }
