"""What a running session tells the outside.

metrics         every metric that stratd has, in one place
collector       reads plain counters when Prometheus asks
metrics_server  serves /metrics
logs            structlog, to a terminal or as JSON
"""
