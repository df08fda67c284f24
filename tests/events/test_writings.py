"""Which rows of a source that grows are one row, told by their id or by all that they have."""

import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medspark.events.read import read_events
from medspark.schemas import ROW, ROW_DIGEST_OF_ID
from medspark.task.event_source import EventSource
from medspark.task.mapping import Mapping

NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
SAMPLES = {
    "files": "samples/*.parquet",
    "subject": "patient",
    "columns": {"id": "long", "patient": "long", "taken": "timestamp", "told": "timestamp", "value": "double"},
    "events": [{"code": "TAKEN", "time": "taken", "number": "value"}, {"code": "TOLD", "time": "told"}],
}


@pytest.fixture
def told(spark, tmp_path):
    """told([(id, patient, taken, told, value), …], …): the rows of the events of some files, each by ROW and digest."""

    def run(*files, first="double", **row):
        times = pa.timestamp("us", "UTC")
        for at, rows in enumerate(files):
            kinds = (pa.int64(), pa.int64(), times, times, pa.type_for_alias(first if at == 0 else "double"))
            columns = [pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), kinds, strict=True)]
            path = tmp_path / "source" / "samples" / f"{at}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table(dict(zip(SAMPLES["columns"], columns, strict=True))), path)
        source = {"kind": "events", "mapping": "m", "format": "parquet", "path": str(tmp_path / "source")}
        mapping = {"mapping": "m", "title": "m", "tables": {"samples": {**SAMPLES, **row}}}
        grows = EventSource.model_validate({**source, "increment": {"by": "files"}})
        with read_events(spark, grows, Mapping.model_validate(mapping)) as found:
            return {(event[ROW], event[ROW_DIGEST_OF_ID]) for event in found.records.collect()}

    return run


def test_rows_without_an_id_that_lack_different_values_are_two(told):
    assert len(told([(None, 7, NOON, None, None), (None, 7, None, NOON, None)])) == 2


def test_writings_of_an_id_that_lack_different_values_are_two(told):
    found = told([(1, 7, NOON, None, None), (1, 7, None, NOON, None)], row={"same": ["id"]})
    assert len({row for row, _ in found}) == 1
    assert len({digest for _, digest in found}) == 2


def test_a_row_that_comes_again_with_its_numbers_written_by_another_type_is_the_same(told):
    assert len(told([(None, 7, NOON, None, 2)], [(None, 7, NOON, None, 2.0)], first="int64")) == 1
