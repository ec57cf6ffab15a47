"""
The plain extension: what one writes with aiohttp and aiobotocore when there is no time to lose on clever things.

Import, register, fetch all secrets at once, serve, wait for events. Its secrets are named in a variable rather than a
file, so that it need not import a YAML parser.
"""

import asyncio
import json
import os
import sys

import aiohttp
from aiobotocore.session import get_session
from aiohttp import web
from application import application

API = f"http://{os.environ.get('AWS_LAMBDA_RUNTIME_API')}/2020-01-01/extension"


async def fetch(names: list[str]) -> dict[str, str]:
    """Return the secrets of these names."""
    async with get_session().create_client("secretsmanager", region_name=os.environ["AWS_REGION"]) as client:
        answers = await asyncio.gather(*(client.get_secret_value(SecretId=name) for name in names))
    return {answer["Name"]: answer["SecretString"] for answer in answers}


async def live(name: str) -> None:
    """Live as an extension until SHUTDOWN."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as http:
        registration = {"events": ["INVOKE", "SHUTDOWN"]}
        async with http.post(f"{API}/register", json=registration, headers={"Lambda-Extension-Name": name}) as answer:
            identity = {"Lambda-Extension-Identifier": answer.headers["Lambda-Extension-Identifier"]}
        secrets = await fetch(os.environ["SECRETS"].split(","))
        runner = web.AppRunner(application(secrets), access_log=None)
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
