"""The stratd command. One file per verb family; nothing heavy is imported before a verb needs it.

main        the parser, exit codes, and what is printed when something goes wrong
parser      an argparse parser that says "did you mean"
run         run, backtest
preview     run --preview
check       check, schema
journal     journal show, journal verify, journal export; journal_lines, journal_words, journal_export, journal_money and
            plain_ledger are its parts
halt        halt, resume
resets      resume --strategy, resume --book
places      where a session leaves what it leaves
running     whether somebody runs it now
listing     list
new         new strategy
data        data inspect, data resample
warm        warm
output      tables, progress, JSON
summary     what a run came to, as tables
logs        where log lines go
os_signals  Ctrl-C and SIGTERM
"""
