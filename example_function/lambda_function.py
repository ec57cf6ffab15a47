"""Read a secret from the cache: at import, and once more when it turns out to have been rotated."""

import http.client
from contextlib import closing


def read_secret(query=""):
    # http.client never asks a proxy, whatever HTTP_PROXY says.
    with closing(http.client.HTTPConnection("localhost:8080", timeout=10)) as connection:
        connection.request("GET", "/cache/secret_now" + query)
        response = connection.getresponse()
        body = response.read().decode()
        if response.status != 200:
            raise RuntimeError(body)  # it says why
        return body


password = read_secret("?key=password")  # the extension makes this wait until the secret is there


def lambda_handler(event, context):
    global password
    print(f"Response from cache: {read_secret()}")
    if event.get("refused"):  # stands for a database that refuses the password: it was rotated
        password = read_secret("?key=password&refresh=true")
    return {"statusCode": 200, "passwordLength": len(password)}
