"""A plain aiohttp application that hands out secrets: what a hit is compared with, and the plain extension's server."""

import os

from aiohttp import web


def application(secrets: dict[str, str]) -> web.Application:
    """Return an application that answers GET /cache/<name>."""

    async def get(request: web.Request) -> web.Response:
        value = secrets.get(request.match_info["name"])
        if value is None:
            raise web.HTTPNotFound
        return web.Response(text=value, content_type="application/json")

    app = web.Application()
    app.router.add_get("/cache/{name:.+}", get)
    return app


def main() -> None:
    """Serve one secret, whose value is $BENCH_BODY, on $BENCH_PORT."""
    secrets = {"secret-1": os.environ["BENCH_BODY"]}
    web.run_app(application(secrets), host="127.0.0.1", port=int(os.environ["BENCH_PORT"]), access_log=None, print=None)
