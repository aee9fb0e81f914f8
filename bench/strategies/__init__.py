"""Strategies of the benches: as little as possible, so that what is measured is what carries them."""
