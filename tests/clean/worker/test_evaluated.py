"""What Spark computed is looked through once; then a worker opens the files that have rows of its span, no other."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from medspark.clean.worker.evaluated import look_through
from medspark.clean.worker.staged import AS_ASIDE, AT, BROKEN, CHECKED, FAILED, LINES_OF_A_SPAN, evaluated_of, places_of


def put(path: Path, rows: list[tuple[int, bool, str | None, str | None]], group: int) -> Path:
    columns = dict(zip((AT, AS_ASIDE, BROKEN, FAILED), map(list, zip(*rows, strict=True)), strict=True))
    schema = pa.schema([(AT, pa.int64()), (AS_ASIDE, pa.bool_()), (BROKEN, pa.string()), (FAILED, pa.string())])
    pq.write_table(pa.table(columns, schema), path, row_group_size=group)
    return path


def test_a_span_s_rows_are_read_from_its_own_row_groups_alone(tmp_path: Path) -> None:
    (tmp_path / CHECKED).mkdir()
    second = LINES_OF_A_SPAN
    first = [(5, False, None, "x"), (7, True, "a", None)]
    first += [(second + 1, False, "a\nb", "x\ny"), (second + 2, False, None, None)]
    one = put(tmp_path / "one.parquet", first, 2)
    two = put(tmp_path / "two.parquet", [(2 * second, False, "b", None)], 1)
    found = [look_through(at, str(file), str(tmp_path)) for at, file in enumerate((one, two))]
    assert [[spans for _, spans in each.parts] for each in found] == [[(0,), (1,)], [(2,)]]
    assert found[0].failing == {"x": 2, "y": 1}
    assert [places_of(str(tmp_path), CHECKED, span).tolist() for span in range(3)] == [[], [second + 1], [2 * second]]
    one.unlink()
    rows = evaluated_of([part for part, *_ in found[1].parts], 2, [])
    assert rows[AT].to_pylist() == [2 * second]


def test_a_row_group_is_of_those_spans_alone_whose_rows_it_has(tmp_path: Path) -> None:
    (tmp_path / CHECKED).mkdir()
    rows = [(at, False, None, None) for at in (9 * LINES_OF_A_SPAN + 1, 3, 9 * LINES_OF_A_SPAN + 2)]
    found = look_through(0, str(put(tmp_path / "one.parquet", rows, 3)), str(tmp_path))
    assert [spans for _, spans in found.parts] == [(0, 9)]
