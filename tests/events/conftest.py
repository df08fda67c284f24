"""What the tests of mapped tables share: a read of some files by some tables."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from support.mapped import Found, Read, adds_up

from medspark.events.read import read_events
from medspark.schemas import FILE, LINE, RAW, RULE
from medspark.task.event_source import EventSource
from medspark.task.mapping import Mapping


@pytest.fixture
def read(spark: SparkSession, tmp_path: Path) -> Read:
    """read({"labs.csv": text}, {"labs": table}): an event is (subject, code, time, number, text, unit, available)."""

    def run(
        files: dict[str, str | bytes | pa.Table],
        tables: dict[str, Any],
        kind: str = "csv",
        repairs: DataFrame | None = None,
        **settings: Any,
    ) -> Found:
        for name, content in files.items():
            path = tmp_path / "source" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, pa.Table):
                pq.write_table(content, path)
            else:
                path.write_bytes(content.encode() if isinstance(content, str) else content)
        source = EventSource(kind="events", mapping="m", format=kind, path=str(tmp_path / "source"))
        mapping = Mapping.model_validate({"mapping": "m", "title": "m", "tables": tables, **settings})
        with read_events(spark, source, mapping, repairs) as found:
            times = {name: F.col(name).cast("string") for name in ("time", "available_time")}
            wanted = ("subject_id", "code", "time", "numeric_value", "text_value", "unit", "available_time")
            events = [tuple(row) for row in found.records.withColumns(times).select(*wanted).collect()]
            rows = found.quarantine.withColumn(FILE, F.substring_index(FILE, "/", -1))
            aside = [tuple(row) for row in rows.select("source", FILE, LINE, RULE, RAW).collect()]
            counts = found.counts
        for table in counts.values():
            assert adds_up(table)
        assert len(events) == sum(table.events for table in counts.values())
        assert len(aside) == sum(sum(t.quarantined.values()) + t.duplicates for t in counts.values())
        return Found(
            sorted(events, key=repr), sorted(aside, key=lambda row: (row[0], row[1], row[2] or 0, row[3])), counts
        )

    return run
