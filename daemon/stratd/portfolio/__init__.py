"""What a strategy or the book holds: money, positions, trades, performance."""
