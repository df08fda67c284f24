from dataclasses import asdict, astuple

from chispa import assert_df_equality
from support.tasks import stays_task

from medspark.cases.attrition import count_attrition, count_cases
from medspark.cases.table import build_cases, mark_excluded

RECORDS = (
    "stay bigint, patient string, age double, sex string, diag_1 string, diag_2 string, died boolean, "
    "back boolean, _source_file string, _source_line bigint"
)


def records(spark, *rows):
    return spark.createDataFrame([(*row, "f.csv", at + 2) for at, row in enumerate(rows)], RECORDS)


def test_excluded_records_leave_and_each_criterion_says_how_many(spark):
    task = stays_task(
        exclude=[
            {"name": "died", "when": "died", "because": "cannot come back"},
            {"name": "child", "when": "age < 18", "because": "another clinic"},
        ]
    )
    marked = mark_excluded(
        records(
            spark,
            (1, "a", 5.0, "F", None, None, True, False),  # meets both: counted under the first
            (2, "b", 6.0, "F", None, None, False, False),
            (3, "c", None, "M", None, None, None, True),  # unknown: not excluded
        ),
        task,
    )
    assert [astuple(row) for row in count_attrition(marked, task).attrition] == [
        ("records", "", 0, 3),
        ("died", "cannot come back", 1, 2),
        ("child", "another clinic", 1, 1),
    ]
    assert [row["case_id"] for row in build_cases(marked, task).collect()] == [3]


def test_a_case_has_its_keys_its_label_and_its_raw_features(spark):
    task = stays_task()
    cases = build_cases(mark_excluded(records(spark, (7, "p", 50.0, "F", "x", None, False, True)), task), task)
    expected = spark.createDataFrame(
        [(7, "p", None, True, 50.0, "F", "x", None)],
        "case_id bigint, subject_id string, prediction_time timestamp, boolean_value boolean, age double, "
        "sex string, diag_1 string, diag_2 string",
    )
    assert_df_equality(cases.drop("split", "fold", "_source_file", "_source_line"), expected, ignore_nullable=True)


def test_an_unknown_outcome_is_a_null_label_and_is_counted(spark):
    task = stays_task()
    cases = build_cases(
        mark_excluded(
            records(
                spark,
                (1, "a", 1.0, "F", None, None, False, None),
                (2, "a", 2.0, "F", None, None, False, True),
                (3, "a", 3.0, "F", None, None, False, False),
            ),
            task,
        ),
        task,
    )
    (counts,) = count_cases(cases, task.outcome.targets).values()
    assert asdict(counts) == {"cases": 3, "subjects": 1, "positives": 1, "unknown": 1, "targets": {}}


def test_without_the_outcomes_column_every_label_is_null(spark):
    task = stays_task()
    frame = records(spark, (1, "a", 1.0, "F", None, None, False, True)).drop("back")
    assert build_cases(mark_excluded(frame, task), task).first()["boolean_value"] is None
