"""CSV and gzipped CSV, in constant memory.

A chunk of whole lines goes through Arrow's typed parser. A chunk that it refuses, because of a cell that is no number or a
line with too few or too many cells, is taken cell by cell. A line is a line: a quoted cell cannot hold a line break.
"""

from __future__ import annotations

import csv
import io
import re
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv

from stratd.data.block import MALFORMED_TIME
from stratd.errors import FeedError
from stratd.feeds import cells
from stratd.feeds.columns import Columns, find_columns
from stratd.feeds.rows import FIELDS, RawRows, SymbolCodes

_SMALL_FILE: Final = 1 << 17  # kept in memory whole, so that thousands of small files need no thousands of descriptors
_LONGEST_LINE: Final = 1 << 20
_BYTES_PER_ROW: Final = 48
_PEEKED_LINES: Final = 100
_UNREADABLE: Final = (OSError, EOFError, zlib.error)


class CsvReader:
    """Reads one CSV file. See `RowReader`.

    A line with too few or too many cells gives a row with NaN in all of its values, and its time where that can be read. Empty
    lines are no rows.
    """

    def __init__(self, path: Path, where: str, codes: SymbolCodes, batch_rows: int, *, gzipped: bool) -> None:
        self._where = where
        self._codes = codes
        self._size = max(1, path.stat().st_size)
        self._chunk_bytes = max(1, batch_rows) * _BYTES_PER_ROW
        self._rows = 0
        self._rest = b""
        self._file: io.BufferedIOBase | io.RawIOBase = path.open("rb", buffering=0)
        if self._size <= _SMALL_FILE:
            with self._file as file:
                self._file = io.BytesIO(file.read() or b"")
        self._bytes: _Plain | _Gunzip | _Broken = (_Gunzip if gzipped else _Plain)(self._file)
        try:
            self._names = self._header()
            self._columns = find_columns(where, self._names)
            self.has_symbols = self._columns.symbol is not None
            self._types: dict[str, Any] | None = None
        except BaseException:
            self.close()
            raise

    def read(self) -> RawRows | None:
        """The next rows, or None at the end.

        Raises:
            FeedError: the file breaks off or cannot be read any further.
        """
        while True:
            lines = self._lines()
            if not lines:
                self.close()
                return None
            rows = self._fast(lines)
            if rows is None:
                rows = self._slow(lines)
            if len(rows):
                self._rows += len(rows)
                return rows

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _header(self) -> list[str]:
        line = b""
        while not line.strip():
            if b"\n" not in self._rest:
                try:
                    more = self._bytes.read(self._chunk_bytes)
                except _UNREADABLE as error:
                    raise self._unreadable(error) from error
                if more:
                    self._rest += more
                    if len(self._rest) > _LONGEST_LINE and b"\n" not in self._rest:
                        raise FeedError(self._where, f"has no line end in its first {_LONGEST_LINE} bytes; is it a CSV file?")
                    continue
            line, _, self._rest = self._rest.partition(b"\n")
            if not line and not self._rest:
                raise FeedError(self._where, f"is empty; its first line must name the columns: timestamp,{','.join(FIELDS)}")
        return _split(line.removeprefix(b"\xef\xbb\xbf")) or [""]

    def _lines(self) -> bytes:
        """The next whole lines, each with its end; empty at the end of the file."""
        pieces = [self._rest]
        held = len(self._rest)
        ended = b"\n" in self._rest
        while True:
            try:
                more = self._bytes.read(self._chunk_bytes)
            except _UNREADABLE as error:
                # Whole lines that came before are rows; what is left of the last one is not.
                lines, found, _ = b"".join(pieces).rpartition(b"\n")
                self._rest = b""
                self._bytes = _Broken(error, self._bytes.position)
                if found:
                    return lines + b"\n"
                self.close()
                raise self._unreadable(error) from error
            if not more:
                self._rest = b""
                text = b"".join(pieces)
                return text + b"\n" if text and not text.endswith(b"\n") else text
            pieces.append(more)
            held += len(more)
            ended = ended or b"\n" in more
            if ended and held >= self._chunk_bytes:
                text, _, self._rest = b"".join(pieces).rpartition(b"\n")
                return text + b"\n"
            if not ended and held > _LONGEST_LINE + self._chunk_bytes:
                raise FeedError(self._where, f"row {self._rows + 1} has no line end in {held} bytes; is it a CSV file?")

    def _unreadable(self, error: Exception) -> FeedError:
        return FeedError(self._where, f"cannot be read after row {self._rows}: {error}")

    def _fast(self, lines: bytes) -> RawRows | None:
        """The typed path; None where the chunk needs the slow one. Gives exactly what the slow one gives."""
        text = lines.replace(b"\r\n", b"\n") if b"\r" in lines else lines
        if b"\r" in text:
            return None
        if self._types is None:
            self._types = self._guess(text)
        try:
            table = pyarrow.csv.read_csv(
                pa.BufferReader(text),
                read_options=pyarrow.csv.ReadOptions(
                    use_threads=False, block_size=len(text) + 1, column_names=[f"c{place}" for place in range(len(self._names))]
                ),
                convert_options=pyarrow.csv.ConvertOptions(include_columns=list(self._types), column_types=self._types),
            )
        except pa.ArrowInvalid:
            return None
        if table.num_rows != text.count(b"\n"):  # empty lines, or a line break inside quotes
            return None
        columns = [column.combine_chunks() for column in table.columns]
        symbol = cells.codes(columns[6], self._codes) if self.has_symbols else None
        return RawRows(cells.times(columns[0]), tuple(cells.numbers(column) for column in columns[1:6]), symbol, self._share())

    def _slow(self, lines: bytes) -> RawRows:
        rows = [_split(line) or [] for line in lines.split(b"\n") if line.strip()]
        width = len(self._names)
        where: Columns = self._columns

        def column(place: int, whole: bool = False) -> list[str]:
            return [row[place] if place < len(row) and (len(row) == width or not whole) else "" for row in rows]

        symbol = None
        if where.symbol is not None:
            symbol = np.array([self._codes.code(text) for text in column(where.symbol)], dtype=np.int32)
        values = tuple(cells.numbers_of_text(column(place, whole=True)) for place in where.values)
        return RawRows(cells.times_of_text(column(where.time)), values, symbol, self._share())

    def _guess(self, text: bytes) -> dict[str, Any]:
        """Types for the typed path. A wrong guess costs time, not rows: the chunk then takes the slow path."""
        kind = pa.timestamp("ns", "UTC")
        for line in text.split(b"\n", _PEEKED_LINES)[:_PEEKED_LINES]:
            row = _split(line) or []
            cell = row[self._columns.time].strip() if len(row) > self._columns.time else ""
            if cells.times_of_text([cell])[0] != MALFORMED_TIME:
                if cell.lstrip("+-").isdigit():
                    kind = pa.int64()
                elif not re.search(r"Z$|[T ].*[+-]|-.*-.*[+-]", cell):
                    kind = pa.timestamp("ns")
                break
        types = {f"c{self._columns.time}": kind} | {f"c{place}": pa.float64() for place in self._columns.values}
        if self._columns.symbol is not None:
            types[f"c{self._columns.symbol}"] = pa.dictionary(pa.int32(), pa.string())
        return types

    def _share(self) -> float:
        return min(1.0, self._bytes.position / self._size)


def _split(line: bytes) -> list[str] | None:
    """One line's cells; None where it cannot be told apart."""
    try:
        return next(csv.reader([line.decode("utf-8", "replace").rstrip("\r")]), None)
    except csv.Error:
        return None


class _Plain:
    """Bytes as they are."""

    def __init__(self, file: io.BufferedIOBase | io.RawIOBase) -> None:
        self._file = file
        self.position = 0

    def read(self, count: int) -> bytes:
        data = self._file.read(count) or b""
        self.position += len(data)
        return data


class _Gunzip:
    """Unpacked bytes of a gzip file of one or more members; gives all that can be unpacked before it says what is wrong.

    `position` counts packed bytes. (Not gzip.GzipFile: it can lose what it has unpacked when the file breaks off.)
    """

    def __init__(self, file: io.BufferedIOBase | io.RawIOBase) -> None:
        self._file = file
        self._unpacker: Any = None
        self._packed = b""
        self.position = 0

    def read(self, count: int) -> bytes:
        while True:
            if not self._packed:
                self._packed = self._file.read(1 << 16) or b""
                self.position += len(self._packed)
                if not self._packed:
                    if self._unpacker is not None:
                        raise EOFError("the gzip file breaks off; fetch or write it again")
                    return b""
            if self._unpacker is None:
                self._packed = self._packed.lstrip(b"\0")  # padding between members
                if not self._packed:
                    continue
                self._unpacker = zlib.decompressobj(wbits=31)
            data: bytes = self._unpacker.decompress(self._packed, count)
            self._packed = self._unpacker.unconsumed_tail
            if self._unpacker.eof:
                self._packed = self._unpacker.unused_data
                self._unpacker = None
            if data:
                return data


class _Broken:
    """Stands in for a file that cannot be read any further."""

    def __init__(self, error: Exception, position: int) -> None:
        self._error = error
        self.position = position

    def read(self, count: int) -> bytes:
        raise self._error
