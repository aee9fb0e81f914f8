"""From a decision to a fill: orders, matching, costs, accounts, recovery.

account          Account: one strategy's orders, positions, money and risk state
stepping         the kernels that move an account along the log
entry            the same with one table of addresses, as Python calls them
matching         what one bar does to an account's orders
costs            slippage, commission, prices on the grid of ticks
orders           the order state machine
rules            AccountRules: how orders fill and what they cost
terms            TradingTerms: what accounts need of instruments and calendars
records          what happened, as kernels write it and as values
book             Book: several strategies, one account at the venue
book_orders      its kernels: orders that wait for it, and those that cross
crossings        how much has crossed
account_journal  AccountJournal: to the journal and back
book_journal     BookJournal: a book and its accounts, in one group for each step
session_past     SessionPast: what a journal knows
resets           what a person lets trade again
"""
