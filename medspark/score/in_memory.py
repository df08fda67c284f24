"""Score cases that are in memory already: no Spark, no files but the bundle's."""

import pandas as pd
import pyarrow as pa

from medspark.bundles.bundle import Bundle
from medspark.errors import InputError, did_you_mean
from medspark.schemas import CASE_ID, PREDICTION_TIME, SUBJECT_ID
from medspark.score.serve import serve
from medspark.score.worker.predict import KEYS, Served, answer_types, columns_read, predict_batches


def score_table(bundle: Bundle, cases: pa.Table, engine: str = "auto") -> pa.Table:
    """A row for each of n cases, in their order: the keys, the logit, the risk and its band, or why there is none.

    The features go by the bundle's statistics, so a score is, bit for bit, the one that `score_stage` gives.

    Args:
        bundle: verified.
        cases: a column for each feature, as the table `cases` of a store has them, and `case_id`; `subject_id` and
            `prediction_time` are null where they are absent.
        engine: litert, tensorflow, or auto: litert where the bundle has it.

    Returns:
        `case_id`, `subject_id`, `prediction_time`, `logit`, `probability`, `risk_band`, `reason`, and where there are
        several targets `probability_` and the name of each; then the columns of BESIDE_TYPES, but of a bundle from
        before these.

    Raises:
        InputError: a column that the bundle reads is absent.
        TaskError: the bundle has no network for that engine.
    """
    served = serve(bundle, engine)
    wanted = [CASE_ID, *columns_read(served)]
    absent = [name for name in wanted if name not in cases.column_names]
    if absent:
        hints = "".join(did_you_mean(name, cases.column_names) for name in absent)
        raise InputError(
            f"expected the columns {', '.join(wanted)} that the bundle reads, received none of "
            f"{', '.join(absent)}.{hints}"
        )
    for name, kind in ((SUBJECT_ID, pa.string()), (PREDICTION_TIME, pa.timestamp("us", tz="UTC"))):
        if name not in cases.column_names:
            cases = cases.append_column(name, pa.nulls(cases.num_rows, kind))
    rows = cases.select(dict.fromkeys([*KEYS, *wanted]))
    answers = list(predict_batches(rows.combine_chunks().to_batches(), served))
    return pa.Table.from_batches(answers) if answers else _none(rows, served)


def score_frame(bundle: Bundle, cases: pd.DataFrame, engine: str = "auto") -> pd.DataFrame:
    """As `score_table`, for a pandas frame."""
    scored: pd.DataFrame = score_table(bundle, pa.Table.from_pandas(cases, preserve_index=False), engine).to_pandas()
    return scored


def _none(rows: pa.Table, served: Served) -> pa.Table:
    """The answers to no rows."""
    keys = [rows.schema.field(name) for name in KEYS]
    return pa.schema([*keys, *answer_types(served).items()]).empty_table()
