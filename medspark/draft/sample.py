"""A table as text, column by column: the whole of it, or evenly drawn pieces where it is large."""

import bz2
import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, cast

import pyarrow as pa
import pyarrow.parquet as pq

from medspark.draft.dialect import Dialect, decoded, read_records
from medspark.errors import InputError
from medspark.task.spelling import normalised

MOST_BYTES: Final = 64_000_000
"""Of text that are looked at."""
MOST_ROWS: Final = 200_000
_PIECES: Final = 16
"""That a large file is looked at in, spread evenly over it."""
_MOST_FILES: Final = 64
_FORMATS: Final = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".parquet": "parquet", ".json": "json"}
_FORMATS_OF_LINES: Final = {".ndjson": "ndjson", ".jsonl": "ndjson"}
_PACKED: Final = (".gz", ".bz2")


@dataclass(frozen=True)
class Sample:
    """Rows of a table as text, "" where there is nothing."""

    path: str
    format: str
    columns: dict[str, list[str]]
    rows: int
    whole: bool
    """Whether these are all rows."""
    broken: int = 0
    """Lines of text that are no record."""
    dialect: Dialect = field(default_factory=Dialect)
    stored: dict[str, str] = field(default_factory=dict)
    """Of Parquet: number, boolean, date, timestamp or text, by column."""


def read_sample(path: str) -> Sample:
    """The rows of a file, of a folder's files, or of the files of a pattern.

    Raises:
        InputError: there are none, in no format that is read, or without a name for each column.
    """
    files = files_at(path)
    if not files:
        raise InputError(f"{path}: expected a file, a folder of files or a pattern, received nothing that is there")
    form = _format(files)
    if form == "parquet":
        sample = _parquet(path, files)
    else:
        budget = max(1, MOST_BYTES // len(files))
        texts = [_head(file, budget) for file in files]
        whole = all(complete for _, complete in texts) and len(files) <= _MOST_FILES
        pieces = [data for data, _ in texts[:_MOST_FILES]]
        sample = _csv(path, pieces, whole) if form == "csv" else _json(path, form, pieces, whole)
    if not sample.rows:
        raise InputError(f"{path}: expected at least one row, received none")
    _require_names(sample)
    return sample


def files_at(path: str) -> list[Path]:
    """The files of a path, sorted: itself, those of a folder, those of a pattern; none where nothing is there.

    Names that begin with . or _ are passed over, as Spark and the programs that write beside it have them.
    """
    place = Path(path)
    at = next((at for at, part in enumerate(place.parts) if set("*?[") & set(part)), None)
    is_pattern = at is not None and not place.exists()
    found = list(Path(*place.parts[:at]).glob("/".join(place.parts[at:]))) if is_pattern else [place]
    files = [file for one in found for file in (one.rglob("*") if one.is_dir() else [one])]
    return sorted(file for file in files if file.is_file() and not file.name.startswith((".", "_")))


def _format(files: list[Path]) -> str:
    known = _FORMATS | _FORMATS_OF_LINES
    suffixes = {_suffix(file) for file in files}
    forms = {known.get(suffix) for suffix in suffixes}
    form = next(iter(forms)) if len(forms) == 1 else None
    if form is None:
        received = ", ".join(sorted(suffix or "no ending" for suffix in suffixes))
        raise InputError(f"expected files of one kind of {', '.join(known)}, maybe .gz or .bz2, received {received}")
    if form == "json" and not _start(files[0]).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        return "ndjson"
    return form


def _start(file: Path) -> bytes:
    with _opened(file) as stream:
        return stream.read(4096)


def _opened(file: Path) -> IO[bytes]:
    unpack: Any = {".gz": gzip.open, ".bz2": bz2.open}.get(file.suffix, open)
    return cast("IO[bytes]", unpack(file, "rb"))


def _suffix(file: Path) -> str:
    name = file.name.lower()
    for packed in _PACKED:
        name = name.removesuffix(packed)
    return Path(name).suffix


def _head(file: Path, budget: int) -> tuple[bytes, bool]:
    """A file's bytes, or evenly spread pieces of whole lines; and whether that is all of them."""
    if file.suffix in _PACKED:
        try:
            with _opened(file) as stream:
                data = stream.read(budget + 1)
        except (OSError, EOFError):
            raise InputError(f"{file}: expected a file packed by gzip or bzip2, received one that is damaged") from None
        return (data, True) if len(data) <= budget else (data[: data.rfind(b"\n") + 1], False)
    size = file.stat().st_size
    with file.open("rb") as stream:
        if size <= budget:
            return stream.read(), True
        piece = budget // _PIECES
        data = stream.read(piece)
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):  # UTF-16, whose lines no single byte ends
            data += stream.read(budget - piece)
            return data[: data.rfind("\n".encode("utf-16-le" if data[0] == 0xFF else "utf-16-be")) + 2], False
        parts = [data[: data.rfind(b"\n") + 1]]
        for at in range(1, _PIECES):
            stream.seek(at * (size - piece) // (_PIECES - 1))
            data = stream.read(piece)
            parts.append(data[data.find(b"\n") + 1 : data.rfind(b"\n") + 1])
    return b"".join(parts), False


def _csv(path: str, pieces: list[bytes], whole: bool) -> Sample:
    most = MOST_ROWS // len(pieces)
    found = []
    for data in pieces:
        text, encoding = decoded(data)
        found.append(read_records(text, encoding, most))
    first = found[0]
    if any(records.header != first.header for records in found):
        raise InputError(f"{path}: expected the same columns in each file, received files that differ in them")
    rows = [row for records in found for row in records.rows]
    names = [name.strip("\ufeff") for name in first.header]
    columns = {name: [normalised(row[at]) for row in rows] for at, name in enumerate(names)}
    if len(columns) < len(names) or not all(name.strip() for name in names):
        raise InputError(
            f"{path}: expected a name of its own for each column, received one twice or none at all. A first column "
            "without a name is often an index of pandas: write it with index_label, or leave it out by index=False."
        )
    told = whole and all(len(records.rows) < most for records in found)
    dialect = first.dialect._replace(quoted_newlines=any(records.dialect.quoted_newlines for records in found))
    return Sample(path, "csv", columns, len(rows), told, sum(records.broken for records in found), dialect)


def _json(path: str, form: str, pieces: list[bytes], whole: bool) -> Sample:
    records: list[dict[str, Any]] = []
    broken = 0
    for data in pieces:
        text, _ = decoded(data)
        for one in _parsed(path, text, form):
            if isinstance(one, dict):
                records.append(one)
            else:
                broken += 1
    told = whole and len(records) <= MOST_ROWS
    records = records[:MOST_ROWS]
    names = dict.fromkeys(name for record in records for name in record)
    columns = {name: [_json_text(record.get(name)) for record in records] for name in names}
    return Sample(path, form, columns, len(records), told, broken)


def _parsed(path: str, text: str, form: str) -> Iterable[Any]:
    if form == "ndjson":
        return (_one(line) for line in text.split("\n") if line.strip())
    try:
        found = json.loads(text)
    except ValueError:
        raise InputError(f"{path}: expected a JSON array of records, received what is none or too large") from None
    return found if isinstance(found, list) else []


def _one(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _json_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return normalised(value) if isinstance(value, str) else json.dumps(value)


def _parquet(path: str, files: list[Path]) -> Sample:
    tables, total = [], 0
    most = MOST_ROWS // min(len(files), _MOST_FILES)
    for file in files[:_MOST_FILES]:
        try:
            opened = pq.ParquetFile(file)
            total += opened.metadata.num_rows
            groups = _spread(opened, most)
            tables.append(opened.read_row_groups(groups).slice(0, most))
        except pa.ArrowException:
            raise InputError(f"{file}: expected a Parquet file, received one that cannot be read") from None
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException:
        raise InputError(f"{path}: expected the same columns in each file, received types that differ") from None
    stored = {name: _stored(table.schema.field(name).type) for name in table.column_names}
    nested = [name for name, kind in stored.items() if kind == "nested"]
    if nested:
        raise InputError(f"{path}: expected columns of single values, received lists or records in {', '.join(nested)}")
    columns = {name: _arrow_text(table.column(name)) for name in table.column_names}
    whole = table.num_rows == total and len(files) <= _MOST_FILES
    return Sample(path, "parquet", columns, table.num_rows, whole, stored=stored)


def _spread(opened: pq.ParquetFile, most: int) -> list[int]:
    """Row groups, evenly spread, that have about so many rows."""
    rows, groups = opened.metadata.num_rows, opened.metadata.num_row_groups
    if rows <= most or groups <= 1:
        return list(range(groups))
    asked = max(1, groups * most // rows)
    return sorted({at * (groups - 1) // max(1, asked - 1) for at in range(asked)})


def _stored(kind: Any) -> str:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    if pa.types.is_date(kind):
        return "date"
    if pa.types.is_timestamp(kind):
        return "timestamp"
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)
    return "text" if is_text or pa.types.is_string_view(kind) else "nested"


def _arrow_text(column: Any) -> list[str]:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    column = column.cast(kind)
    values = column.to_pylist()
    if pa.types.is_floating(kind):
        return ["" if value is None or value != value else repr(value).removesuffix(".0") for value in values]
    if pa.types.is_boolean(kind):
        return ["" if value is None else str(value).lower() for value in values]
    return ["" if value is None else normalised(str(value)) for value in values]


def _require_names(sample: Sample) -> None:
    if not sample.columns:
        raise InputError(f"{sample.path}: expected at least one column, received none")
