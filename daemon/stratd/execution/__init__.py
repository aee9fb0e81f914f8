"""From a decision to a fill: orders, matching, costs, accounts, recovery."""
