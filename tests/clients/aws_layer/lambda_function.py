"""
Asks as AWS's own Python samples for its layer do: their requests are here as they are published, but for the names.

https://docs.aws.amazon.com/systems-manager/latest/userguide/ps-integration-lambda-extensions.html (urllib)
https://docs.aws.amazon.com/secretsmanager/latest/userguide/retrieving-secrets_lambda.html (requests)
"""

import json
import os
import urllib.request

import requests

aws_session_token = os.environ.get("AWS_SESSION_TOKEN")
headers = {"X-Aws-Parameters-Secrets-Token": os.environ.get("AWS_SESSION_TOKEN")}

# At import: AWS's layer is not ready by then.
r = requests.get("http://localhost:2773/secretsmanager/get?secretId=" + "prod/api", headers=headers)
secret = json.loads(r.text)["SecretString"]  # load the Secrets Manager response into a Python dictionary


def lambda_handler(event, context):
    req = urllib.request.Request("http://localhost:2773/systemsmanager/parameters/get?name=%2Fapp%2Fplain")
    req.add_header("X-Aws-Parameters-Secrets-Token", aws_session_token)
    config = urllib.request.urlopen(req).read()

    return {"secret": secret, "parameter": json.loads(config)["Parameter"]["Value"]}
