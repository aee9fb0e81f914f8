"""Kit for authors of strategies and adapters.

bars        bars from compact text, and files of them
feeds       HistoryFeedContract: what every feed of recorded bars must do, as a pytest class
indicators  IndicatorContract: what every indicator must do, yours too (needs hypothesis)
"""
