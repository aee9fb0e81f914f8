"""Mechanisms without trading.

clock      Clock: where time comes from
kernel     compiled kernels: one signature each, cached by content
parking    Parker: one thread waits, another wakes it
names      "did you mean"
paths      cache and results directories
"""
