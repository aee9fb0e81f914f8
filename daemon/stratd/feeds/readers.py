"""One reader per format, chosen by the file's ending."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from stratd.core.names import nearest
from stratd.errors import FeedError
from stratd.feeds.rows import RowReader, SymbolCodes

ENDINGS: Final = (".csv", ".csv.gz", ".parquet", ".arrow", ".ipc", ".feather")


def open_reader(path: Path, where: str, codes: SymbolCodes, batch_rows: int) -> RowReader:
    """Opens a file of bars.

    Args:
        path: the file.
        where: the file as the user wrote it, for errors.
        codes: gives the numbers of the symbols in a `symbol` column.
        batch_rows: about how many rows a batch has.

    Raises:
        FeedError: it is absent, of an unknown kind, lacks columns, or cannot be read.
    """
    ending = next((ending for ending in reversed(ENDINGS) if path.name.lower().endswith(ending)), None)
    if ending is None:
        near = nearest(path.suffix, ENDINGS)
        hint = f"; did you mean {near}?" if near else ""
        raise FeedError(where, f"is no file of bars: the ending must be one of {', '.join(ENDINGS)}{hint}")
    try:
        if path.is_dir():
            raise FeedError(where, "is a directory; name the files in it")
        if ending.startswith(".csv"):
            from stratd.feeds.csv_reader import CsvReader

            return CsvReader(path, where, codes, batch_rows, gzipped=ending == ".csv.gz")
        from stratd.feeds.arrow_reader import IpcReader, ParquetReader

        return (ParquetReader if ending == ".parquet" else IpcReader)(path, where, codes, batch_rows)
    except FileNotFoundError:
        raise FeedError(where, _absent(path)) from None
    except OSError as error:
        raise FeedError(where, f"cannot be opened: {error.strerror or error}" + _remedy(error)) from error


def _absent(path: Path) -> str:
    if not path.parent.is_dir():
        return f"there is no directory {path.parent}"
    near = nearest(path.name, sorted(entry.name for entry in path.parent.iterdir()))
    return "there is no such file" + (f"; did you mean {path.with_name(near)}?" if near else "")


def _remedy(error: OSError) -> str:
    import errno

    if error.errno != errno.EMFILE:
        return ""
    limit = os.sysconf("SC_OPEN_MAX")
    return f" ({limit}); raise LimitNOFILE= of the unit (ulimit -n), or keep many symbols in one file with a symbol column"
