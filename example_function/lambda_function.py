"""Read a secret from the cache: at import, and once more when it turns out to have been rotated."""

import urllib.request

SECRET_URL = "http://localhost:8080/cache/secret_now"


def read_secret(query=""):
    with urllib.request.urlopen(SECRET_URL + query, timeout=10) as response:
        return response.read().decode()


password = read_secret("?key=password")  # the extension makes this wait until the secret is there


def lambda_handler(event, context):
    global password
    print(f"Response from cache: {read_secret()}")
    if event.get("refused"):  # stands for a database that refuses the password: it was rotated
        password = read_secret("?key=password&refresh=true")
    return {"statusCode": 200, "passwordLength": len(password)}
