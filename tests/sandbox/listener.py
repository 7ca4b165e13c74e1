# SPDX-License-Identifier: Apache-2.0
"""The wire of the sandbox's service: HTTP/1.1 over TLS, one thread a connection, delivered as an answer asks for."""
import http.server
import socket
import socketserver
import ssl
import struct
import sys
import threading
from typing import Any, Callable, Dict, NamedTuple, Optional, Set, Tuple

from tests.sandbox.answers import Answer

__all__ = ["Call", "Listener"]

_LONGEST_BODY = 1 << 20
_IDLE_SECONDS = 60


class Call(NamedTuple):
    """A request as it came; `target` is the path with its query, names of headers are in lower case."""

    method: str
    target: str
    headers: Dict[str, str]
    body: bytes

    @property
    def host(self) -> str:
        """The Host header without its port."""
        return self.headers.get("host", "").partition(":")[0]

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


class _Cut(Exception):
    """The connection is to be reset here."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "sandbox"
    sys_version = ""
    disable_nagle_algorithm = True  # else each answer of a kept connection waits 40 ms
    server: "Listener"

    def handle(self) -> None:
        try:
            super().handle()
        except _Cut:
            _reset(self.request)
        except OSError:
            pass  # the client went away

    def _serve(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = int(headers.get("content-length", "0"))
        if length > _LONGEST_BODY:
            self.close_connection = True
            self._deliver(Answer(413))
            return
        call = Call(self.command, self.path, headers, self.rfile.read(length))
        self._deliver(self.server.answer(call).ranged(headers.get("range")))

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 (the names http.server looks for)

    def _deliver(self, answer: Answer) -> None:
        self._wait(answer)
        if answer.delivery.cut_after == -1:
            raise _Cut
        self._head(answer)
        if self.command != "HEAD" and answer.status not in (204, 304):
            self._body(answer)

    def _wait(self, answer: Answer) -> None:
        self.server.stopping.wait(answer.delivery.delay)
        hold = answer.delivery.hold
        while hold and not hold.wait(0.02) and not self.server.stopping.is_set():
            pass
        if self.server.stopping.is_set():
            raise _Cut

    def _head(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.delivery.endless:
            self.send_header("Connection", "close")
        elif answer.status != 204:
            self.send_header("Content-Length", str(answer.length))
        self.end_headers()

    def _body(self, answer: Answer) -> None:
        cut, sent = answer.delivery.cut_after, 0
        for block in answer.blocks():
            if cut is not None and sent + len(block) > cut:
                self._write(block[: cut - sent], answer)
                raise _Cut
            self._write(block, answer)
            sent += len(block)
        if cut is not None:
            raise _Cut
        while answer.delivery.endless and not self.server.stopping.is_set():
            self._write(b" " * 65536, answer)

    def _write(self, block: bytes, answer: Answer) -> None:
        size, seconds = answer.delivery.pace or (len(block), 0.0)
        for start in range(0, len(block), size or 1):
            if start and self.server.stopping.wait(seconds):
                raise _Cut
            self.wfile.write(block[start : start + size])
        if answer.delivery.pace:
            self.server.stopping.wait(seconds)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the service keeps records."""


class Listener(http.server.ThreadingHTTPServer):
    """Listens as soon as it is made, serves from `start()` on; OSError where the address cannot be had."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 1024  # a fleet connects at once, and what is dropped comes again seconds later

    def __init__(
        self,
        address: Tuple[str, int],
        answer: Callable[[Call], Answer],
        context: Optional[ssl.SSLContext] = None,
    ) -> None:
        self.stopping = threading.Event()
        self.answer = answer
        self._context = context
        self._open: Set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, _Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Cuts what is under way; afterwards the port is free."""
        self.stopping.set()
        self.shutdown()
        self._thread.join()
        self.server_close()
        with self._lock:
            for connection in self._open:
                _wake(connection)

    def get_request(self) -> Tuple[socket.socket, Any]:
        connection, address = super().get_request()
        connection.settimeout(_IDLE_SECONDS)
        if self._context:
            # The handshake belongs into the connection's own thread: a client that dawdles stops nobody else.
            connection = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with self._lock:
            self._open.add(connection)
        return connection, address

    def finish_request(self, request: Any, client_address: Any) -> None:
        if isinstance(request, ssl.SSLSocket):
            request.do_handshake()
        super().finish_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A traceback, but not for handshakes that a client broke off: those are the point of some tests."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def server_bind(self) -> None:
        # HTTPServer's own looks the address up in the DNS, which takes seconds where there is none.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", int(self.server_address[1])


def _reset(connection: socket.socket) -> None:
    """Makes the coming close a reset, not an end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _wake(connection: socket.socket) -> None:
    """Ends what another thread reads or writes there; past TLS, whose state is that thread's."""
    try:
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    except OSError:
        pass  # it is closed already
