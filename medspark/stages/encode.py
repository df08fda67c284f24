"""The encode stage: a source and a bundle to `tensors`, which `medspark score --tensors` then scores."""

from medspark.bundles.bundle import STATISTICS, Bundle
from medspark.encode.apply import encode_cases, tensors_options
from medspark.encode.statistics import from_json
from medspark.errors import AccountingError
from medspark.runs.lock import alone
from medspark.runs.run import Run
from medspark.runs.tables import making, publish_tables, published_before
from medspark.schemas import REASON, REJECTED, TENSORS
from medspark.score.checksums import sums_of_files
from medspark.score.eligible import Eligible
from medspark.score.publish import rejected_rows
from medspark.score.serve import statistics_digest
from medspark.stages.eligible import begin, eligible
from medspark.store.facts import TensorsFacts, write_facts
from medspark.store.files import full_path
from medspark.store.tables import read_parquet, write_version


@alone
def encode_stage(
    run: Run, bundle: Bundle, source: str | None, as_of: str | None = None, history: str | None = None
) -> str:
    """A source and a bundle to `tensors` and `rejected`, which `score_tensors_stage` then scores.

    Args and errors as `medspark.stages.score.score_stage` has them; the version returned is made of what decides the
    tensors, so that the same run again finds them there and changes nothing.
    """
    with eligible(run, bundle.task, source, as_of, history) as found:
        version = begin(run, bundle, found, as_of)
        if published_before(run, (REJECTED, TENSORS), version, bundle.bundle_id):
            place = f"{run.store}/{TENSORS}/{version}"
            run.say(f"These rows were encoded for this bundle before; nothing changed: {place}")
            run.receipt.outputs[TENSORS] = place
        else:
            made = making(run, (REJECTED, TENSORS), version, bundle.bundle_id)
            with run.receipt.timed("encode"), run.progress("encode"), made:
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
    rows = read_parquet(spark, tensors).count()
    reasons = {row[REASON]: row["count"] for row in read_parquet(spark, rejected).groupBy(REASON).count().collect()}
    expected = found.expected()
    if rows + sum(reasons.values()) != expected:
        raise AccountingError(
            f"{expected} came in, but {rows} were encoded and {sum(reasons.values())} rejected. Nothing was published."
        )
    sums = sums_of_files(run.context, full_path(run.context, tensors))
    write_facts(run.context, tensors, TensorsFacts(statistics_digest(bundle), rows, version, found.read, sums))
    publish_tables(run, (REJECTED, TENSORS), version, bundle.bundle_id)
    run.receipt.counts["score"] |= {"encoded": rows, "rejected": reasons}
    run.receipt.outputs |= {TENSORS: tensors, REJECTED: rejected}
    run.say(f"  encoded     {rows:>12,}")
    for reason, count in sorted(reasons.items()):
        run.say(f"  rejected    {count:>12,}  {reason}")
