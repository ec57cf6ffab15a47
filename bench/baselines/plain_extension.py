"""
The plain extension: what one writes with aiohttp and aiobotocore when there is no time to lose on clever things.

Import, register, fetch all at once, serve, wait for events. What it fetches is named in variables rather than a file,
so that it need not import a YAML parser.
"""

import asyncio
import json
import os
import sys

import aiohttp
from aiobotocore.session import AioSession, get_session
from aiohttp import web
from application import application

API = f"http://{os.environ.get('AWS_LAMBDA_RUNTIME_API')}/2020-01-01/extension"
# As many parameters as GetParameters takes.
A_CALL = 10


async def assume(session: AioSession, role_arn: str) -> None:
    """Assume a role: from now on, the session's clients sign by it."""
    async with session.create_client("sts", region_name=os.environ["AWS_REGION"]) as client:
        answer = await client.assume_role(RoleArn=role_arn, RoleSessionName="plain-extension")
    found = answer["Credentials"]
    session.set_credentials(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])


async def fetch() -> dict[str, str]:
    """Return all that is listed, by name: secrets, parameters, and those below a path."""
    session = get_session()
    if role_arn := os.environ.get("ROLE_ARN"):
        await assume(session, role_arn)
    region = os.environ.get("SECRETS_REGION", os.environ["AWS_REGION"])
    values: dict[str, str] = {}
    if names := listed("SECRETS"):
        async with session.create_client("secretsmanager", region_name=region) as client:
            answers = await asyncio.gather(*(client.get_secret_value(SecretId=name) for name in names))
        values |= {answer["Name"]: answer["SecretString"] for answer in answers}
    names, path = listed("PARAMETERS"), os.environ.get("PARAMETERS_PATH")
    if names or path:
        async with session.create_client("ssm", region_name=region) as client:
            parts = [names[place : place + A_CALL] for place in range(0, len(names), A_CALL)]
            calls = [client.get_parameters(Names=part, WithDecryption=True) for part in parts]
            found = [one for answer in await asyncio.gather(*calls) for one in answer["Parameters"]]
            if path:
                pages = client.get_paginator("get_parameters_by_path")
                async for page in pages.paginate(Path=path, Recursive=True, WithDecryption=True):
                    found += page["Parameters"]
        values |= {one["Name"].removeprefix("/"): one["Value"] for one in found}
    return values


def listed(variable: str) -> list[str]:
    """Return the names in an environment variable, separated by commas."""
    return [name for name in os.environ.get(variable, "").split(",") if name]


async def live(name: str) -> None:
    """Live as an extension until SHUTDOWN."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as http:
        registration = {"events": ["INVOKE", "SHUTDOWN"]}
        async with http.post(f"{API}/register", json=registration, headers={"Lambda-Extension-Name": name}) as answer:
            identity = {"Lambda-Extension-Identifier": answer.headers["Lambda-Extension-Identifier"]}
        values = await fetch()
        runner = web.AppRunner(application(values), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 8080).start()
        print(json.dumps({"event": "extension.ready"}), flush=True)
        while True:
            async with http.get(f"{API}/event/next", headers=identity) as answer:
                event = await answer.json(content_type=None)
            if event["eventType"] == "SHUTDOWN":
                break
        await runner.cleanup()


def main() -> None:
    """Run it; its name is the first argument."""
    asyncio.run(live(sys.argv[1]))
