# SPDX-License-Identifier: Apache-2.0
"""An HTTP proxy whose every tunnel ends at the sandbox's service.

With it a program reaches https://repo.almalinux.org and the like by their real names, without name resolution.
"""
import base64
import select
import socket
import socketserver
import threading
from typing import Any, List, Optional, Tuple

__all__ = ["Proxy"]

_IDLE_SECONDS = 60


class _Tunnel(socketserver.StreamRequestHandler):
    server: "Proxy"

    def handle(self) -> None:
        words = self.rfile.readline(4096).decode("latin-1").split()
        credentials = None
        while True:
            line = self.rfile.readline(65536).strip()
            if not line:
                break
            if line.lower().startswith(b"proxy-authorization: basic "):
                credentials = base64.b64decode(line.split()[2])
        if len(words) != 3 or words[0] != "CONNECT":
            self.wfile.write(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        self.server.targets.append(words[1])
        self.server.credentials.append(credentials)
        if self.server.wanted not in (None, credentials):
            self.wfile.write(b'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="sandbox"\r\n')
            self.wfile.write(b"Content-Length: 0\r\nConnection: close\r\n\r\n")
            return
        try:
            self._join()
        except OSError:
            pass  # one of the two went away

    def _join(self) -> None:
        with socket.create_connection(self.server.end, _IDLE_SECONDS) as service:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self._relay(service)

    def _relay(self, service: socket.socket) -> None:
        other = {self.connection: service, service: self.connection}
        while not self.server.stopping.is_set():
            for source in select.select(list(other), [], [], 0.2)[0]:
                block = source.recv(65536)
                if not block:
                    return
                other[source].sendall(block)


class Proxy(socketserver.ThreadingTCPServer):
    """Knows CONNECT alone; `targets` are the HOST:PORT asked for, in order, `credentials` the USER:PASSWORD given with each.

    Where `wanted` is set, only who gives that is let through.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, end: Tuple[str, int]) -> None:
        self.end = end
        self.targets: List[str] = []
        self.credentials: List[Optional[bytes]] = []
        self.wanted: Optional[bytes] = None
        self.stopping = threading.Event()
        super().__init__(("127.0.0.1", 0), _Tunnel)
        self.url = "http://127.0.0.1:%d" % self.server_address[1]
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.stopping.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""
