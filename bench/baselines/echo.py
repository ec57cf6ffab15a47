"""The ceiling of a hit: a raw asyncio server that answers whatever comes in with the same bytes."""

import asyncio
import base64
import os


class Echo(asyncio.Protocol):
    """Answers each read with `answer`, unread."""

    answer = base64.b64decode(os.environ.get("BENCH_ANSWER", ""))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.write = transport.write

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - that it came is all that counts
        """Answer."""
        self.write(self.answer)


async def serve() -> None:
    """Serve on $BENCH_PORT for ever."""
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", int(os.environ["BENCH_PORT"]))
    await server.serve_forever()


def main() -> None:
    """Run it."""
    asyncio.run(serve())
