"""A session from its file to its result.

manager       SystemManager: runs a session from start to end
builder       the one place where a session's parts are put together
loading       imports strategies, checks their parameters, runs their setup
config        SessionConfig: what a session file says
account_config, sizing_config, feed_config  parts of it
session_journal  the journal of one run: opened afresh, or gone on with
journal_way   which way a run takes with the journal that it finds
session_terms what a journal says of its session, and what has changed
restart_plan  who goes on, and what is left to nobody
calendars     exchange calendars as plain tables, kept on disk
check         what `stratd check` looks at
resample      longer bars of a file
result        what a run came to
signals_file  a run's signals as a file
schema        the JSON schema of session files
"""
