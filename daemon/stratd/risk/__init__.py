"""What may not be done: limits before an order, limits while it runs, the kill switch."""
