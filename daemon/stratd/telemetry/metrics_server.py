"""MetricsServer: /metrics for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, start_http_server

from stratd.errors import UsageError
from stratd.telemetry.collector import SessionCollector


class MetricsServer:
    """Serves a collector's metrics over HTTP, in a thread of its own.

    Raises:
        UsageError: the port cannot be had.
    """

    def __init__(self, collector: SessionCollector, port: int, address: str = "127.0.0.1") -> None:
        registry = CollectorRegistry()
        registry.register(collector)
        try:
            self._server, self._thread = start_http_server(port, addr=address, registry=registry)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"--metrics-port {port}: {reason}; choose another port") from error
        self.port = int(self._server.server_port)

    def close(self) -> None:
        """Stop serving. May be called twice."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
