"""What a running session tells the outside.

metrics         every metric that stratd has, in one place
collector       reads plain counters when Prometheus asks
accounts        those of strategies' accounts
families        the table's metrics as Prometheus' client has them
metrics_server  serves /metrics
logs            structlog, to a terminal or as JSON
"""
