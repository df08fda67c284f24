"""The encode stage: a source and a bundle to `tensors`, which `medspark score --tensors` then scores."""

from medspark.bundles.bundle import STATISTICS, Bundle
from medspark.cases.eligible import Eligible
from medspark.encode.apply import encode_cases, tensors_options
from medspark.encode.statistics import from_json
from medspark.errors import AccountingError
from medspark.runs.run import Run
from medspark.schemas import REASON, REJECTED, TENSORS
from medspark.score.publish import is_current, rejected_rows
from medspark.score.serve import statistics_digest
from medspark.score.sums import sums_of_files
from medspark.stages.eligible import begin, eligible
from medspark.store.facts import TensorsFacts, write_facts
from medspark.store.files import delete, full_path
from medspark.store.tables import publish, write_version


def encode_stage(run: Run, bundle: Bundle, source: str | None, as_of: str | None = None) -> str:
    """A source and a bundle to `tensors` and `rejected`, which `score_tensors_stage` then scores.

    Args and errors as `medspark.stages.score.score_stage` has them; the version returned is made of what decides the
    tensors, so that the same run again finds them there and changes nothing.
    """
    with eligible(run, bundle.task, source, as_of) as found:
        version = begin(run, bundle, found, as_of)
        if is_current(run, TENSORS, version):
            place = f"{run.store}/{TENSORS}/{version}"
            run.say(f"These rows were encoded for this bundle before; nothing changed: {place}")
            run.receipt.outputs[TENSORS] = place
        else:
            with run.receipt.timed("encode"), run.progress("encode"):
                _write_tensors(run, bundle, found, version)
    return version


def _write_tensors(run: Run, bundle: Bundle, found: Eligible, version: str) -> None:
    """Encode the eligible cases by the bundle's statistics and publish them, with the rest's reasons.

    Raises:
        AccountingError: tensors and rejected rows are not what came in; then nothing is published.
    """
    spark = run.spark
    statistics = from_json(bundle.read_text(STATISTICS))
    encoded = encode_cases(found.cases, statistics)
    tensors = write_version(encoded, run.store, TENSORS, version, **tensors_options(statistics))
    rejected = write_version(rejected_rows(found, version), run.store, REJECTED, version)
    rows = spark.read.parquet(tensors).count()
    reasons = {row[REASON]: row["count"] for row in spark.read.parquet(rejected).groupBy(REASON).count().collect()}
    expected = found.expected()
    if rows + sum(reasons.values()) != expected:
        delete(run.context, tensors)
        raise AccountingError(
            f"{expected} came in, but {rows} were encoded and {sum(reasons.values())} rejected. Nothing was published."
        )
    sums = sums_of_files(run.context, full_path(run.context, tensors))
    write_facts(run.context, tensors, TensorsFacts(statistics_digest(bundle), rows, version, found.read, sums))
    publish(run.context, run.store, (REJECTED, TENSORS), version)
    run.receipt.counts["score"] |= {"encoded": rows, "rejected": reasons}
    run.receipt.outputs |= {TENSORS: tensors, REJECTED: rejected}
    run.say(f"  encoded     {rows:>12,}")
    for reason, count in sorted(reasons.items()):
        run.say(f"  rejected    {count:>12,}  {reason}")
