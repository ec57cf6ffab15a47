"""A function that asks AWS itself for its secret while it is imported, with botocore."""

import os

import botocore.session

client = botocore.session.get_session().create_client("secretsmanager", region_name=os.environ["AWS_REGION"])
secret: str = client.get_secret_value(SecretId="secret-1")["SecretString"]  # type: ignore[attr-defined]


def handler(_event: object, _context: object) -> int:
    """Answer with the length of the secret."""
    return len(secret)
