"""Mechanisms without trading.

addresses  arrays by their addresses, for kernels that are called often
bus        EventBus: whoever listens to a kind of event is called
clock      Clock: where time comes from
container  ScopedContainer: a strategy's components, made in order, torn down in reverse
cores      which CPU core threads run on
kernel     compiled kernels: one signature each, cached by content
limits     of the process: open files
parking    Parker: one thread waits, another wakes it
names      "did you mean"
paths      cache and results directories
states     State: where a component is in its life
"""
