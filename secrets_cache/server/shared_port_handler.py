"""
Both protocols on one port, for a configuration that gives them the same one.

Rules
-----
1. The path decides: those of AWS's protocol go to its handler, everything else, `/ping` too, to the native one.
2. Each handler answers as it would on a port of its own, and demands its own token; but either takes that token in
   either header of AWS's protocol.
"""

from secrets_cache.server.aws_layer_handler import AwsLayerHandler
from secrets_cache.server.aws_layer_request import is_aws_layer_path
from secrets_cache.server.handler import Handler
from secrets_cache.server.message import Request, Response
from secrets_cache.server.target import split_target


class SharedPortHandler(Handler):
    """
    Answers requests in both protocols. Raises nothing.

    Args:
        native: Answers those in our own protocol, and those that are in neither.
        aws_layer: Answers those in the protocol of AWS's layer.
    """

    token_headers = AwsLayerHandler.token_headers

    def __init__(self, native: Handler, aws_layer: Handler) -> None:
        super().__init__(native.cache, native.clock)
        self._native = native
        self._aws_layer = aws_layer

    async def handle(self, request: Request) -> Response:
        """Return the response of the handler whose path it is."""
        path, _ = split_target(request.target)
        return await (self._aws_layer if is_aws_layer_path(path) else self._native).handle(request)

    def build_malformed_response(self) -> Response:
        """Return the response to bytes that are not a request."""
        return self._native.build_malformed_response()

    def build_failure_response(self) -> Response:
        """Return the response of a connection that cannot go on."""
        return self._native.build_failure_response()
