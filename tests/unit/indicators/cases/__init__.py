"""Every indicator of the catalogue with an oracle: one module for each family, each with a list `CASES`."""
