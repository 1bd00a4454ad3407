"""A Redis for machines that have none: fakeredis' server, in memory. `python -m rostra_stack.embedded_redis PORT`."""

import signal
import sys
from threading import Thread

from fakeredis import TcpFakeServer
from fakeredis._clients._tcp_server import TCPFakeRequestHandler
from redis.exceptions import ResponseError

from rostra_kit.ports import LOOPBACK


class RequestHandler(TCPFakeRequestHandler):
    """Answers an error and goes on, as Redis does; fakeredis closes the connection after any error."""

    def setup(self) -> None:
        """Have errors returned, which are then written like any reply."""
        super().setup()
        read_response = self.current_client.read_response

        def read_response_or_error() -> object:
            try:
                return read_response()
            except ResponseError as error:
                return error

        # On this one connection, in place of the class's method.
        self.current_client.read_response = read_response_or_error  # type: ignore[method-assign,assignment]


class EmbeddedRedis(TcpFakeServer):
    """The server, with room for as many clients at once as a stack has."""

    # With the default of 5 a burst of connections waits for seconds.
    request_queue_size = 128
    daemon_threads = True


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    server = EmbeddedRedis((LOOPBACK, int(sys.argv[1])), server_type="redis")
    server.RequestHandlerClass = RequestHandler
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: Thread(target=server.shutdown).start())
    server.serve_forever()


if __name__ == "__main__":
    main()
