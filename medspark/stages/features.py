"""The last part of the features stage, whatever the source: write, count and publish cases."""

from collections.abc import Callable
from typing import Any

from pyspark.sql import DataFrame

from medspark.cases.attrition import Attrition, count_cases
from medspark.errors import AccountingError
from medspark.runs.run import Run
from medspark.schemas import ATTRITION, ATTRITION_TYPES, CASES, ddl
from medspark.store.facts import write_facts
from medspark.store.tables import publish, write_version


def publish_cases(run: Run, cases: DataFrame, attrition: Callable[[], list[Attrition]], facts: dict[str, Any]) -> None:
    """Write the eligible cases and the attrition, which is asked for once they are written.

    Raises:
        AccountingError: more or fewer became cases than are eligible; then nothing is published.
    """
    spark = run.spark
    written = write_version(cases, run.store, CASES, run.version)
    rows = [row._asdict() for row in attrition()]
    flow = spark.createDataFrame([tuple(row.values()) for row in rows], ddl(ATTRITION_TYPES))
    flow_path = write_version(flow.coalesce(1), run.store, ATTRITION, run.version)
    splits = count_cases(spark.read.parquet(written))
    eligible = rows[-1]["remaining"]
    if sum(split["cases"] for split in splits.values()) != eligible:
        raise AccountingError(f"{eligible} candidates are eligible, but {splits} became cases")
    write_facts(run.context, written, {**facts, "attrition": rows, "splits": splits})
    publish(run.context, run.store, (CASES, ATTRITION), run.version)
    run.receipt.counts["features"] = {"attrition": rows, "splits": splits}
    run.receipt.outputs |= {CASES: written, ATTRITION: flow_path}
    for row in rows[1:]:
        run.say(f"  excluded    {row['removed']:>12,}  {row['criterion']}")
    run.say(f"  cases       {eligible:>12,}")
    positives = sum(split["positives"] for split in splits.values())
    run.say(f"  outcomes    {positives:>12,}")
