"""Parquet and Arrow IPC (file and stream), in batches.

What has to fit into memory is one batch: of an IPC file that is not compressed nothing but the rows being read, since
the file is mapped; of a compressed one a record batch as it was written; of Parquet a page of each column.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet

from stratd.errors import FeedError
from stratd.feeds import cells
from stratd.feeds.columns import Columns, find_columns
from stratd.feeds.rows import RawRows, SymbolCodes

_SMALL_FILE: Final = 1 << 17  # kept in memory whole, so that thousands of small files need no thousands of descriptors
_READ_BYTES: Final = 1 << 18
_FILE_MAGIC: Final = b"ARROW1"


class _ArrowReader(ABC):
    """What both formats share: `_pieces` gives record batches with the needed columns in order, and the share read."""

    def __init__(self, path: Path, where: str, codes: SymbolCodes, batch_rows: int) -> None:
        self._where = where
        self._codes = codes
        self._batch_rows = max(1, batch_rows)
        self._rows = 0
        self._file = _opened(path)
        self._size = max(1, path.stat().st_size)
        try:
            self._columns, self._pieces = self._open()
        except pa.ArrowException as error:
            self.close()
            raise FeedError(where, f"cannot be read as {self.kind}: {_first_line(error)}") from error
        except BaseException:
            self.close()
            raise
        self.has_symbols = self._columns.symbol is not None

    kind = ""

    @abstractmethod
    def _open(self) -> tuple[Columns, Iterator[tuple[Any, float]]]:
        """The columns, and pieces of them with the share of the file that is behind each."""

    def read(self) -> RawRows | None:
        """The next rows, or None at the end.

        Raises:
            FeedError: the file cannot be read any further.
        """
        try:
            for columns, share in self._pieces:
                symbol = cells.codes(columns[6], self._codes) if self.has_symbols else None
                rows = RawRows(cells.times(columns[0]), tuple(cells.numbers(column) for column in columns[1:6]), symbol, share)
                if len(rows):
                    self._rows += len(rows)
                    return rows
        except (pa.ArrowException, OSError) as error:
            self.close()
            raise FeedError(self._where, f"cannot be read after row {self._rows}: {_first_line(error)}") from error
        self.close()
        return None

    def close(self) -> None:
        """Let go of the file."""
        self._pieces = iter(())
        self._file.close()

    def _find(self, schema: Any) -> Columns:
        columns = find_columns(self._where, schema.names)
        wanted = [(columns.time, cells.is_time_type, "times")]
        wanted += [(place, cells.is_number_type, "numbers") for place in columns.values]
        if columns.symbol is not None:
            wanted.append((columns.symbol, cells.is_name_type, "names"))
        kinds = [(schema.names[place], schema.field(place).type, fits, what) for place, fits, what in wanted]
        wrong = [f"column {name!r} holds {kind}, not {what}" for name, kind, fits, what in kinds if not fits(kind)]
        if wrong:
            raise FeedError(self._where, "; ".join(wrong))
        return columns


class ParquetReader(_ArrowReader):
    """Reads one Parquet file. See `RowReader`."""

    kind = "Parquet"

    def _open(self) -> tuple[Columns, Iterator[tuple[Any, float]]]:
        file = pyarrow.parquet.ParquetFile(self._file, buffer_size=_READ_BYTES, pre_buffer=False)
        columns = self._find(file.schema_arrow)
        return columns, self._batches(file, [file.schema_arrow.names[place] for place in columns.places])

    def _batches(self, file: Any, names: list[str]) -> Iterator[tuple[Any, float]]:
        total = max(1, file.metadata.num_rows)
        done = 0
        for group in range(file.num_row_groups):  # one by one: a damaged group must not take the rows before it along
            for batch in file.iter_batches(batch_size=self._batch_rows, row_groups=[group], columns=names, use_threads=False):
                done += batch.num_rows
                yield [batch.column(name) for name in names], done / total


class IpcReader(_ArrowReader):
    """Reads one Arrow IPC file, or a stream that was written to a file. See `RowReader`."""

    kind = "Arrow IPC"

    def _open(self) -> tuple[Columns, Iterator[tuple[Any, float]]]:
        is_file = self._file.read(len(_FILE_MAGIC)) == _FILE_MAGIC
        self._file.seek(0)
        reader = pa.ipc.open_file(self._file) if is_file else pa.ipc.open_stream(self._file)
        columns = self._find(reader.schema)
        return columns, self._slices(self._stored(reader, is_file), columns.places)

    def _stored(self, reader: Any, is_file: bool) -> Iterator[tuple[Any, float, float]]:
        """Record batches as they were written, with the share of the file before and after each."""
        if is_file:
            count = reader.num_record_batches
            for index in range(count):
                yield reader.get_batch(index), index / count, (index + 1) / count
            return
        before = 0.0
        for batch in reader:
            after = min(1.0, self._file.tell() / self._size)
            yield batch, before, after
            before = after

    def _slices(self, stored: Iterator[tuple[Any, float, float]], places: tuple[int, ...]) -> Iterator[tuple[Any, float]]:
        for batch, before, after in stored:
            for start in range(0, batch.num_rows, self._batch_rows):
                piece = batch.slice(start, self._batch_rows)
                share = before + (after - before) * (start + piece.num_rows) / batch.num_rows
                yield [piece.column(place) for place in places], share


def _opened(path: Path) -> Any:
    size = path.stat().st_size
    return pa.BufferReader(path.read_bytes()) if size <= _SMALL_FILE else pa.memory_map(str(path), "r")


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
