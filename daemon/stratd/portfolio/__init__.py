"""What a strategy or the book holds: money, positions, trades, performance.

cells        where kernels find an account's numbers
ledger       kernels: what a fill, a bar and a day do to positions and money
portfolio    Portfolio: what an account holds at one moment
aggregator   PositionAggregator: what all strategies hold together
sizing       from a signal to the position that is wanted
equity       EquityFold: an equity curve, without keeping it
performance  the figures that the field compares by
scorecard    Scorecard: what they are made of, folded as it happens
"""
