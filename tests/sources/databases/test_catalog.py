"""The tables of a database of the session's catalogs, by their names."""

from typing import Any

import pytest
from support.databases import Away, session, tables_at, values
from support.errors import told

from medspark.errors import InputError
from medspark.sources.databases.open import open_source


def catalog() -> dict[str, Any]:
    spark = session()
    spark.sql("CREATE DATABASE `hospital`")
    spark.sql("CREATE TABLE `hospital`.person USING parquet AS SELECT 1 AS person_id, 2 AS `a.b`")
    spark.range(5).createOrReplaceTempView("visit")
    with open_source(spark, tables_at("catalog", "spark_catalog.hospital")) as tables:
        frame = tables.read("Person", "person_id", ["person_id", "a.b"])
        return {
            "tables": tables.tables,
            "rows": (frame.columns, values(frame)),
            "consistent": tables.consistent,
            "missing": told(InputError, lambda: tables.read("visit")),
            "database": told(InputError, lambda: open_source(spark, tables_at("catalog", "hospitl")).__enter__()),
        }


@pytest.mark.integration
def test_a_catalogs_tables_are_read_by_their_names(away: Away) -> None:
    found = away(catalog)
    assert found["tables"] == ("person",)
    assert found["rows"] == (["person_id", "a.b"], [("1", "2")])
    assert not found["consistent"]
    assert "spark_catalog.hospital: expected a table 'visit', received 1 tables without it." in found["missing"]
    assert found["database"] == "expected a database 'hospitl' in the session's catalogs, found none of that name"
