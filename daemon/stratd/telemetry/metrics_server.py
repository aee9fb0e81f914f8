"""MetricsServer: /metrics for Prometheus."""

from __future__ import annotations

import threading
from socketserver import ThreadingMixIn
from typing import Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from stratd.errors import UsageError
from stratd.telemetry.collector import SessionCollector

_POLL_SECONDS: Final = 0.05  # how soon the server notices that it is to end


class _Server(ThreadingMixIn, WSGIServer):
    """One thread for each scrape, so that a slow client holds up no other."""

    daemon_threads = True


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Scrapes are no news."""


class MetricsServer:
    """Serves a collector's metrics over HTTP, in threads of its own.

    Raises:
        UsageError: the port cannot be had.
    """

    def __init__(self, collector: SessionCollector, port: int, address: str = "127.0.0.1") -> None:
        registry = CollectorRegistry()
        registry.register(collector)
        try:
            self._server = make_server(address, port, make_wsgi_app(registry), _Server, handler_class=_SilentHandler)
        except (OSError, OverflowError) as error:  # the latter for numbers that are no ports
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"--metrics-port {port}: {reason}; choose another port") from error
        self.port = int(self._server.server_port)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="metrics-server", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop serving. May be called twice."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
