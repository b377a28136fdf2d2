"""A proxy that fails as it is told: one word of its script for each request, and then it passes everything on."""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HOP_BY_HOP = {"connection", "transfer-encoding", "host", "keep-alive"}
BUSY = {
    "type": "https://memory-r1.dev/problems/bank-busy",
    "title": "Service Unavailable",
    "status": 503,
    "detail": "Another request is writing to the same bank; try again.",
}


@dataclass(frozen=True)
class Asked:
    """One request that arrived."""

    method: str
    path: str
    once: str | None
    at: float
    last_event_id: str | None


class FlakyProxy(ThreadingHTTPServer):
    """Words of the script: `pass`; `busy:N`, 503 with `Retry-After: N`; `date`, the same with a date; `html`, a 502
    that is no problem; `refuse`, closed before anything is passed on; `cut`, closed after the service has done its
    work; `half`, closed inside of the answer; `events:N`, closed after so many events of a stream.
    """

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream)
        self.script: deque[str] = deque()
        self.asked: list[Asked] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no fault of the proxy; anything else is."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FlakyProxy

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing is logged."""

    def _handle(self) -> None:
        body = self._body()
        if self.path == "/script":
            self.server.script, self.server.asked = deque(json.loads(body)), []
            self._reply(200, {}, b"{}")
        elif self.path == "/asked":
            self._reply(200, {}, json.dumps([vars(one) for one in self.server.asked]).encode())
        else:
            once, last = self.headers.get("idempotency-key"), self.headers.get("last-event-id")
            self.server.asked.append(Asked(self.command, self.path, once, time.monotonic(), last))
            self._act(self.server.script.popleft() if self.server.script else "pass", body)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _handle

    def _act(self, word: str, body: bytes) -> None:
        self.close_connection = True
        name, _, number = word.partition(":")
        if name == "busy":
            self._reply(503, {"Retry-After": number, "Content-Type": "application/problem+json"}, _problem())
        elif name == "date":
            self._reply(503, {"Retry-After": self.date_time_string(int(time.time()) + 2)}, b"away")
        elif name == "html":
            self._reply(502, {"Content-Type": "text/html"}, b"<h1>Bad Gateway</h1>")
        elif name != "refuse":
            self._forward(name, int(number or 0), body)

    def _forward(self, name: str, number: int, body: bytes) -> None:
        upstream = http.client.HTTPConnection(self.server.upstream.hostname or "", self.server.upstream.port)
        headers = {key: value for key, value in self.headers.items() if key.lower() not in HOP_BY_HOP}
        try:
            upstream.request(self.command, self.path, body, headers)
            response = upstream.getresponse()
            kept = {key: value for key, value in response.getheaders() if key.lower() not in HOP_BY_HOP}
            if response.headers.get_content_type() == "text/event-stream":
                self._stream(response, kept, number if name == "events" else None)
                return
            whole = response.read()
            if name == "pass":
                self._reply(response.status, kept, whole)
            elif name == "half":
                self._reply(response.status, kept, whole, whole[: len(whole) // 2])
        finally:
            upstream.close()

    def _stream(self, response: http.client.HTTPResponse, headers: dict[str, str], most: int | None) -> None:
        self.send_response(response.status)
        for key, value in {**headers, "Transfer-Encoding": "chunked"}.items():
            self.send_header(key, value)
        self.end_headers()
        events = 0
        event = b""
        while most is None or events < most:
            line = response.readline()
            event += line
            if not line.strip():
                events += 1
                self.wfile.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
                event = b""
            if not line:
                self.wfile.write(b"0\r\n\r\n")
                return

    def _reply(self, status: int, headers: dict[str, str], whole: bytes, sent: bytes | None = None) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(whole)), "Connection": "close"}.items():
            if key.lower() != "content-length" or key == "Content-Length":
                self.send_header(key, value)
        self.end_headers()
        self.wfile.write(whole if sent is None else sent)

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body


def _problem() -> bytes:
    return json.dumps(BUSY).encode()


@contextmanager
def flaky_proxy(upstream: str) -> Iterator[FlakyProxy]:
    """A running proxy before a service."""
    with FlakyProxy(upstream) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()
