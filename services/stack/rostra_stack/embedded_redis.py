"""A Redis for machines that have none: fakeredis' server, in memory. `python -m rostra_stack.embedded_redis PORT`."""

import signal
import sys
from threading import Thread

from fakeredis import TcpFakeServer

from rostra_stack.ports import HOST


class EmbeddedRedis(TcpFakeServer):
    """The server, with room for as many clients at once as a stack has."""

    request_queue_size = 128
    daemon_threads = True


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    server = EmbeddedRedis((HOST, int(sys.argv[1])), server_type="redis")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: Thread(target=server.shutdown).start())
    server.serve_forever()


if __name__ == "__main__":
    main()
