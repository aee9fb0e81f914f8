"""The durable record: what has happened, and survives a power cut. It knows entries, not what they mean.

journal    Journal: post, wait, read
entry      Entry, Record; the chain of digests
backlog    what is posted and not written yet, and who waits
writer     the thread that writes: group commit, checkpoints, outages
store      the SQLite file: appending, and finding out what is written after an error
claim      one process at a time; the mark that shows a loss
schema     tables and migrations
reader     read_journal, also while another process writes
verify     verify: is it whole
reasons    errors of the disk in words
"""
