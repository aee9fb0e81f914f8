"""Metric families as prometheus_client has them, from the table of metrics."""

from __future__ import annotations

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from stratd.telemetry import metrics as m

Family = CounterMetricFamily | GaugeMetricFamily


def family_of(metric: m.Metric) -> Family:
    """A counter's or gauge's family, without samples."""
    labels = ["session", *metric.labels]
    if metric.kind == "counter":
        return CounterMetricFamily(metric.name.removesuffix("_total"), metric.help, labels=labels)
    return GaugeMetricFamily(metric.name, metric.help, labels=labels)
