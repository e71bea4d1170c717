"""Requests byte by byte, as no well-behaved client would send them."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from typing import Any, NamedTuple

HANG = 60.0


class Answer(NamedTuple):
    """What came back from where; of an endless stream only the head."""

    target: str
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def kind(self) -> str:
        return self.headers.get_content_type()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> tuple[str, str]:
        """The code and the message of a refusal, in the shape that its path has."""
        told = self.json
        if self.target.startswith("/v1/"):
            assert set(told) == {"error"} and set(told["error"]) == {"message", "type", "param", "code"}
            told = {"error": told["error"]["code"], "message": told["error"]["message"]}
        assert set(told) == {"error", "message"}
        return told["error"], told["message"]


class Sender:
    """Sends to one node."""

    def __init__(self, url: str) -> None:
        host, port = url.removeprefix("http://").split(":")
        self.address = host, int(port)

    def send(
        self, method: str, target: str, headers: list[tuple[str, bytes]] | None = None, body: bytes | None = None
    ) -> Answer:
        """One request on a connection of its own."""
        lines = [f"{method} {target} HTTP/1.1".encode("latin-1"), b"Host: localhost", b"Connection: close"]
        lines += [name.encode() + b": " + value for name, value in headers or []]
        if body is not None:
            lines.append(b"Content-Length: %d" % len(body))
        with socket.create_connection(self.address, timeout=HANG) as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused half way: the answer is there
                connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + (body or b""))
            response = http.client.HTTPResponse(connection, method=method)
            response.begin()
            endless = response.headers.get_content_type() == "text/event-stream"
            return Answer(target, response.status, response.headers, b"" if endless else response.read())

    def send_json(self, method: str, target: str, value: Any, *headers: tuple[str, bytes]) -> Answer:
        """One request with a JSON body."""
        body = json.dumps(value).encode()
        return self.send(method, target, [("Content-Type", b"application/json"), *headers], body)
