"""Where bars come from. Feeds give 1-minute bars and know nothing of strategies.

replay        ReplayFeed: recorded bars from files, merged in time order, in blocks
inspect       inspect_file: what is in a file of bars, and what is wrong with it
columns       which column of a file is what
cells         Arrow columns and cells of text, as numbers
rows          RawRows: one batch as a reader gives it; SymbolCodes
readers       one reader per format, by the file's ending
csv_reader    .csv, .csv.gz
arrow_reader  .parquet, .arrow, .ipc, .feather
source        SourceCursor: one file's rows on their way into the merge
merge         rows of many sources, in one order
"""
