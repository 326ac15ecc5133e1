"""One page at an address of this machine, and nothing else there.

A page of a file may not ask for anything, and Chromium drops what it asks for unseen; at an
address it may, so that whoever listens notices.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@contextmanager
def served(page: Path) -> Iterator[str]:
    """The address of a page, for as long as the context lasts.

    Args:
        page: an HTML file. What lies beside it is not served.
    """
    content, place = page.read_bytes(), "/page.html"

    class OnePage(BaseHTTPRequestHandler):
        """Answers with the page, or that there is nothing."""

        def do_GET(self) -> None:
            """Called by the server for each request."""
            found = self.path == place
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content) if found else 0))
            self.end_headers()
            self.wfile.write(content if found else b"")

        def log_message(self, *_: object) -> None:
            """Nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), OnePage)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{place}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
