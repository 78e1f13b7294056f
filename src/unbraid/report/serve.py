"""The page of runs that are still being trained: served to this machine's browser, made anew as checkpoints arrive."""

import ipaddress
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from unbraid import runs
from unbraid.errors import UnbraidError
from unbraid.report.build import build, find_runs
from unbraid.report.datasets import Shown
from unbraid.report.gather import Gathered, gather
from unbraid.types import Dataset

HOST, PORT = "127.0.0.1", 8050

# What changes when there is something new to see; the log, which grows all the time, is read when one of these does.
_TELLTALES = (runs.CHECKPOINT, runs.WEIGHTS, runs.FACTS, runs.SCORES, runs.STATISTICS)


class Live:
    """The page of all runs in some folders, as they are when it is asked for."""

    def __init__(self, paths: Sequence[Path], data: Dataset | None = None) -> None:
        self._paths, self._data = paths, data
        self._gathered: dict[Path, tuple[str, Gathered]] = {}
        self._page = ("", "")  # (version, page)
        self._lock = threading.Lock()

    def version(self) -> str:
        """Another text whenever a run has come, been checkpointed, ended or been scored."""
        return sha256("".join(map(_stamp, find_runs(self._paths).values())).encode()).hexdigest()

    def page(self) -> str:
        """Only what has changed since the last page is computed again."""
        with self._lock:
            version = self.version()
            if version != self._page[0]:
                try:
                    page = build(find_runs(self._paths), data=self._data, version=version, read=self._read)
                except UnbraidError:  # such as a file that is just being written: the page will ask again
                    if not self._page[1]:
                        raise
                else:
                    self._page = (version, page)
            return self._page[1]

    def _read(self, path: Path, name: str, shown: Shown | None) -> Gathered:
        stamp = _stamp(path) + name
        if self._gathered.get(path, ("",))[0] != stamp:
            self._gathered[path] = (stamp, gather(path, name, shown))
        return self._gathered[path][1]


def _stamp(path: Path) -> str:
    return f"{path} {[_written(path / name) for name in _TELLTALES]}\n"


def _written(file: Path) -> int | None:
    """When, in nanoseconds; None where there is no such file, or none any more."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return None


def server(
    paths: Sequence[Path], host: str = HOST, port: int = PORT, data: Dataset | None = None
) -> ThreadingHTTPServer:
    """A server of the page at http://host:port/ (port 0 takes a free one), for `serve_forever`.

    On a loopback address it answers requests that name this machine or `host` and no others, so that no page from
    elsewhere can read the runs through the browser. Raises UnbraidError for a folder without runs, or an address that
    is not free.
    """
    live = Live(paths, data)
    live.version()
    try:
        return ThreadingHTTPServer((host, port), partial(_Handler, live, host))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnbraidError(f"cannot serve at {host}:{port}: {reason}; choose another --port") from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Handler(BaseHTTPRequestHandler):
    server_version, sys_version = "unbraid", ""

    def __init__(self, live: Live, host: str, *arguments: Any) -> None:
        self.live, self.host = live, host
        super().__init__(*arguments)  # answers the request

    def do_GET(self) -> None:
        answers = {"/": (self.live.page, "text/html"), "/version": (self.live.version, "text/plain")}
        if not self._is_for_us():
            self._answer(HTTPStatus.FORBIDDEN, "this page is for the machine that it is served on", "text/plain")
        elif self.path not in answers:
            self._answer(HTTPStatus.NOT_FOUND, "there is nothing here", "text/plain")
        else:
            make, kind = answers[self.path]
            try:
                status, text = HTTPStatus.OK, make()
            except (UnbraidError, OSError) as error:  # such as a folder that is being removed
                status, text, kind = HTTPStatus.SERVICE_UNAVAILABLE, str(error), "text/plain"
            self._answer(status, text, kind)

    def _is_for_us(self) -> bool:
        """Asked by a name of this machine; by any, where others are let in."""
        address: Any = self.server.server_address  # where it listens, by whatever name that was given
        try:
            asked = urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""
        except ValueError:
            asked = ""
        return not _is_loopback(address[0]) or _is_loopback(asked) or asked == self.host.lower()

    def _answer(self, status: HTTPStatus, text: str, kind: str) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        with suppress(ConnectionError):  # the reader has gone on
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nobody reads them."""
