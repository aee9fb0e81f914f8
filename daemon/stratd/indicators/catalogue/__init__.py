"""The catalogue: every indicator that stratd ships, a small family to a file.

`CATALOGUE` in `catalogue/listing.py` is what `stratd list indicators`, the documentation and the benches go through.
"""
