"""A miniature CO3Dv2 release and a server of it that can be told to misbehave."""

from __future__ import annotations

import hashlib
import io
import json
import re
import stat
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Server(ThreadingHTTPServer):
    """files: name -> bytes.  requests: (method, name, Range header).  Told per name: breaks (how often it hangs up at
    60 %), statuses (of its next answers to GET), stalls (an event that it waits for at 60 %).
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str, str | None]] = []
        self.breaks: dict[str, int] = {}
        self.statuses: dict[str, list[int]] = {}
        self.stalls: dict[str, threading.Event] = {}
        self.ranges = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def gets(self, name: str | None = None) -> list[str | None]:
        """Range headers of the GET requests so far, of one file or of all."""
        return [span for method, file, span in self.requests if method == "GET" and name in (None, file)]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        server, name = self.server, self.path.removeprefix("/")
        span = self.headers.get("Range")
        server.requests.append((self.command, name, span))
        waiting = server.statuses.get(name, [])
        if body and waiting:
            self.send_error(waiting.pop(0))
            return
        if name not in server.files:
            self.send_error(404)
            return
        content = server.files[name]
        start = int(re.fullmatch(r"bytes=(\d+)-", span)[1]) if span and server.ranges else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if not body:
            return
        cut = 6 * len(content) // 10
        if server.breaks.get(name, 0) > 0:
            server.breaks[name] -= 1
            self.wfile.write(content[start:cut])
            self.close_connection = True
            return
        if name in server.stalls:
            self.wfile.write(content[start:cut])
            self.wfile.flush()
            server.stalls[name].wait(30)
            return
        self.wfile.write(content[start:])

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        for event in server.stalls.values():
            event.set()
        server.shutdown()
        server.server_close()
        thread.join()


def zip_of(members: dict[str | zipfile.ZipInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def write_lists(folder: Path, server: Server, release: str = "full") -> dict[str, Path]:
    """Link and checksum lists of the zips that the server has, in the published format: arguments of `read_release`."""
    links: dict[str, list[str]] = {}
    for name in sorted(server.files):
        if name.endswith(".zip"):
            links.setdefault(name.rsplit("_", 1)[0], []).append(f"{server.url}/{name}")
    links["METADATA"] = [f"{server.url}/category_to_subset_name_list.json"]
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in server.files.items() if ".zip" in name}
    (folder / "links.json").write_text(json.dumps({release: links}))
    (folder / "sha256.json").write_text(json.dumps({release: sums}))
    return {"links": folder / "links.json", "checksums": folder / "sha256.json"}


def link_member(name: str) -> zipfile.ZipInfo:
    """A symbolic link; what is written to it is where it points."""
    member = zipfile.ZipInfo(name)
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member
