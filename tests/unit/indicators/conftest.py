"""Bars to compute indicators on."""
