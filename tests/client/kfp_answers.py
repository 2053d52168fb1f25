"""An HTTP server that answers as it is told, one answer after the other for each path: KFP on a bad day."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer."""

    body: Any = field(default_factory=dict)
    """JSON, or bytes as they are."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    """Say that there is more, and hang up."""


@dataclass
class KfpAnswers:
    """What is answered, and what was asked."""

    answers: dict[str, list[Answer]]
    """By path below `/apis/v2beta1/`, with `?page_token=...` where the request has one. The last one is given again."""
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    def next(self, path: str) -> Answer:
        """The answer to a request."""
        left = self.answers.get(path)
        if left is None:
            return Answer({"code": 5, "message": f"nothing at {path}"}, 404)
        return left.pop(0) if len(left) > 1 else left[0]


@contextmanager
def answering(answers: dict[str, list[Answer]], tls: ssl.SSLContext | None = None) -> Iterator[KfpAnswers]:
    """A server on loopback, with `tls` over TLS."""
    kfp = KfpAnswers(answers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path, _, query = self.path.removeprefix("/apis/v2beta1/").partition("?")
            token = next((part for part in query.split("&") if part.startswith("page_token=")), "")
            kfp.asked.append(self.path)
            kfp.headers.append({name.lower(): value for name, value in self.headers.items()})
            self._send(kfp.next(f"{path}?{token}" if token else path))

        def _send(self, answer: Answer) -> None:
            content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content) + answer.cut))
            self.end_headers()
            self.wfile.write(content)
            self.close_connection = answer.cut

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, name="answers of KFP")
    thread.start()
    kfp.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_port}"
    try:
        yield kfp
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
