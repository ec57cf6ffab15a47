"""Read a secret from the cache: once while the function starts, and again in each invocation."""

import urllib.request

SECRET_URL = "http://localhost:8080/cache/secret_now"


def read_secret():
    with urllib.request.urlopen(SECRET_URL, timeout=10) as response:
        return response.read().decode()


at_import = read_secret()  # the extension makes this wait until the secret is there


def lambda_handler(event, context):
    secret = read_secret()
    print(f"Response from cache: {secret}")
    return {"statusCode": 200, "unchanged": secret == at_import}
