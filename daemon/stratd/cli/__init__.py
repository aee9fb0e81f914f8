"""The stratd command. One file per verb family; nothing heavy is imported before a verb needs it.

main        the parser, exit codes, and what is printed when something goes wrong
parser      an argparse parser that says "did you mean"
run         run, backtest
check       check, schema
listing     list
new         new strategy
data        data inspect, data resample
warm        warm
output      tables, progress, JSON
summary     what a run came to, as tables
logs        where log lines go
os_signals  Ctrl-C and SIGTERM
"""
