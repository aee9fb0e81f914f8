"""The market side: from raw bars to what strategies see.

processor     DataProcessor, LOOP ONE: the only writer
block         BarBlock: raw bars as a feed hands them over
feed          HistoryFeed: the port that feeds implement
intake        what is wrong with a row: Reject kinds, the rejects file
derivation    the kernel that takes a block in: checks, appends, derives, logs
calendars     sessions, phases and bucket grids as plain int64 tables
session_data  SessionData: the columns, in shared memory, read-only for readers
series        BarSeries: one stream, as far as its reader may see
event_log     EventLog: what has been published, in order
subscription  StreamSubscription: the gate between the writer and one strategy thread
quality       how much of what was expected is there
"""
