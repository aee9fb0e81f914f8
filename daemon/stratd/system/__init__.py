"""A session from its file to its result.

manager       SystemManager: runs a session from start to end
builder       the one place where a session's parts are put together
loading       imports strategies, checks their parameters, runs their setup
config        SessionConfig: what a session file says
calendars     exchange calendars as plain tables, kept on disk
check         what `stratd check` looks at
resample      longer bars of a file
result        what a run came to
signals_file  a run's signals as a file
schema        the JSON schema of session files
"""
