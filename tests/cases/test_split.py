import hashlib
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from chispa import assert_df_equality
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import functions as F
from support.tasks import STAYS

from medspark.cases.split import assign_fold, assign_split, divided, hold_out_fold
from medspark.errors import InputError
from medspark.task.load import check_task
from medspark.task.training import Split

DEFAULT = Split()


def splits_of(spark, ids, split=DEFAULT):
    rows = spark.createDataFrame([(i,) for i in ids], "subject string")
    return {row[0]: row[1] for row in rows.select("subject", assign_split(F.col("subject"), split)).collect()}


def test_a_patient_keeps_its_side_when_others_are_added(spark):
    few = splits_of(spark, ["a", "b", "c"])
    many = splits_of(spark, ["a", "b", "c", *map(str, range(500))])
    assert {name: many[name] for name in few} == few


def test_the_side_can_be_recomputed_in_plain_python(spark):
    def expected(subject):
        share = int(hashlib.md5(f"split0:{subject}".encode()).hexdigest()[:8], 16) / 2**32
        return "test" if share < 0.2 else "valid" if share < 0.3 else "train"

    ids = [str(i) for i in range(300)]
    assert splits_of(spark, ids, Split(train=0.7, valid=0.1, test=0.2)) == {i: expected(i) for i in ids}


def test_shares_are_the_tasks(spark):
    found = list(splits_of(spark, map(str, range(10_000)), Split(train=0.6, valid=0.1, test=0.3)).values())
    assert {part: round(found.count(part) / 10_000, 1) for part in ("train", "valid", "test")} == {
        "train": 0.6,
        "valid": 0.1,
        "test": 0.3,
    }


def test_a_number_and_its_text_are_the_same_patient(spark):
    number = spark.createDataFrame([(2**53 + 1,)], "subject bigint")
    side = number.select(assign_split(F.col("subject"), Split())).first()[0]
    assert side == splits_of(spark, [str(2**53 + 1)])[str(2**53 + 1)]


def test_another_seed_draws_another_division(spark):
    ids = list(map(str, range(200)))
    assert splits_of(spark, ids, Split(seed=1)) != splits_of(spark, ids, Split(seed=2))


def test_folds_part_the_patients_evenly_and_each_is_held_out_once(spark):
    split = Split(folds=5)
    rows = spark.range(5000).select(assign_fold(F.col("id"), split).alias("fold"))
    counts = {row["fold"]: row["count"] for row in rows.groupBy("fold").count().collect()}
    assert sorted(counts) == [0, 1, 2, 3, 4]
    assert all(900 < n < 1100 for n in counts.values())
    sides = rows.select(hold_out_fold(F.col("fold"), 4, 5).alias("side"), "fold").distinct().collect()
    assert {row["fold"]: row["side"] for row in sides} == {
        4: "test",
        0: "valid",
        1: "train",
        2: "train",
        3: "train",
    }


@pytest.mark.parametrize("folds", [None])
def test_without_folds_a_case_has_none(spark, folds):
    assert spark.range(1).select(assign_fold(F.col("id"), Split(folds=folds))).first()[0] is None


VISITS = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 30) | st.none(), st.sampled_from(["A", "B", "C"]) | st.none()),
    min_size=1,
    max_size=60,
)
"""Patient, day and hospital of each case."""
BEGIN = datetime(2020, 1, 1, tzinfo=UTC)


def divided_visits(spark, visits, split):
    """Side, patient, day and hospital of each case."""
    rows = [
        (at, f"p{who}", None if day is None else BEGIN + timedelta(days=day), site)
        for at, (who, day, site) in enumerate(visits)
    ]
    cases = spark.createDataFrame(rows, "case_id int, subject_id string, prediction_time timestamp, hospital string")
    sided = cases.withColumn("split", assign_split(F.col("subject_id"), split))
    found = divided(sided, split).select("case_id", "split").collect()
    assert sorted(row["case_id"] for row in found) == list(range(len(visits)))
    return [(row["split"], *visits[row["case_id"]]) for row in found]


@given(visits=VISITS, first=st.integers(0, 30), gap=st.integers(0, 10))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_of_a_temporal_split_no_patient_and_no_later_time_crosses(spark, visits, first, gap):
    temporal = {"test_from": BEGIN + timedelta(days=first), "gap_days": gap}
    found = divided_visits(spark, visits, Split(train=0.4, valid=0.2, test=0.4, temporal=temporal))
    learned = [(who, day) for side, who, day, _ in found if side in ("train", "valid")]
    tested = [(who, day) for side, who, day, _ in found if side == "test"]
    assert not {who for who, _ in learned} & {who for who, _ in tested}
    assert all(day < first - gap for _, day in learned)
    assert all(day >= first for _, day in tested)


@given(visits=VISITS, held_out=st.sets(st.sampled_from(["A", "B", "C"]), min_size=1))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_of_a_site_split_no_patient_and_no_site_crosses(spark, visits, held_out):
    site = {"column": "hospital", "held_out": tuple(held_out)}
    found = divided_visits(spark, visits, Split(site=site))
    learned = [(who, where) for side, who, _, where in found if side in ("train", "valid")]
    tested = [(who, where) for side, who, _, where in found if side == "test"]
    assert not {who for who, _ in learned} & {who for who, _ in tested}
    assert all(where is not None and where not in held_out for _, where in learned)
    assert len(tested) == sum(where in held_out for _, _, where in visits)


def test_of_a_temporal_split_each_side_keeps_what_is_on_its_own_side_of_the_gap(spark):
    split = Split(temporal={"test_from": "2020-01-11T00:00:00Z", "gap_days": 5})
    sides = splits_of(spark, [f"p{who}" for who in range(13)], split)
    visits = [(who, day, None) for who in range(13) for day in (4, 5, 9, 10)]
    expected = {("test", 10): "test", ("train", 4): "train", ("valid", 4): "valid"}
    assert {"test", "train"} <= set(sides.values())
    for side, who, day, _ in divided_visits(spark, visits, split):
        assert side == expected.get((sides[f"p{who}"], day), "unused")


def sides_file(folder, *rows, columns=("subject_id", "split")):
    """A file of sides, and the split by it."""
    path = folder / "subject_splits.parquet"
    pq.write_table(pa.table(dict(zip(columns, zip(*rows, strict=True), strict=True))), path)
    return Split(subjects={"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()})


def test_a_patient_is_on_the_side_that_a_file_says_and_on_none_that_it_does_not_name(spark, tmp_path):
    split = sides_file(tmp_path, (1, "train"), (2, "tuning"), (2**53 + 1, "held_out"), (9, "train"))
    rows = [("a", 1), ("b", 2), ("c", 2), ("d", 2**53 + 1), ("e", 2**53), ("f", None)]
    cases = spark.createDataFrame([(*row, "test") for row in rows], "case_id string, subject_id bigint, split string")
    expected = [
        ("a", 1, "train"),
        ("b", 2, "valid"),
        ("c", 2, "valid"),
        ("d", 2**53 + 1, "test"),
        ("e", 2**53, "unused"),
        ("f", None, "unused"),
    ]
    found = divided(cases, split)
    assert_df_equality(found, spark.createDataFrame(expected, found.schema), ignore_row_order=True)


@pytest.mark.parametrize(
    ("rows", "columns", "says"),
    [
        ([(1, "train"), (1, "tuning")], ("subject_id", "split"), "received 0 with another word and 1 on several sides"),
        ([(1, "test"), (2, None)], ("subject_id", "split"), "train, tuning, held_out; received 2 with another word"),
        ([(None, "train"), (1, "train")], ("subject_id", "split"), "received 1 with another word"),
        ([(1, "train")], ("patient", "split"), "expected the columns subject_id and split, received no subject_id"),
    ],
)
def test_a_file_that_does_not_say_each_patients_side_is_refused_without_naming_anybody(
    spark, tmp_path, rows, columns, says
):
    cases = spark.createDataFrame([(1, "train")], "subject_id bigint, split string")
    with pytest.raises(InputError, match=says):
        divided(cases, sides_file(tmp_path, *rows, columns=columns))


def test_a_file_that_has_changed_since_or_is_gone_is_named(spark, tmp_path):
    cases, split = (
        spark.createDataFrame([(1, "train")], "subject_id bigint, split string"),
        sides_file(tmp_path, (1, "train")),
    )
    sides_file(tmp_path, (1, "held_out"))
    with pytest.raises(
        InputError, match=r"split\.subjects: expected .*subject_splits\.parquet with the digest [0-9a-f]{64}, "
    ):
        divided(cases, split)
    (tmp_path / "subject_splits.parquet").unlink()
    with pytest.raises(InputError, match=r"split\.subjects: there is no file .*subject_splits\.parquet"):
        divided(cases, split)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"split": {"temporal": {"test_from": "2020-01-01T00:00:00Z"}}}, "split.temporal: expected source.time"),
        ({"split": {"temporal": {"test_from": "2020-01-01T00:00:00"}}}, "split.temporal.test_from: "),
        ({"split": {"site": {"column": "sx", "held_out": ["F"]}}}, "'sx'. Did you mean 'sex'?"),
        ({"split": {"site": {"column": "sex", "held_out": ["F"]}, "folds": 5}}, "split.folds: its parts are of"),
        ({"split": {"site": {"column": "sex", "held_out": []}}}, "split.site.held_out: "),
    ],
)
def test_a_split_that_cannot_be_is_a_problem_of_the_task(changes, says):
    _, problems = check_task({**STAYS, **changes})
    assert any(says in problem for problem in problems), problems


def test_a_task_that_asks_for_neither_is_written_as_before():
    assert set(Split().model_dump()) == {"train", "valid", "test", "folds", "seed"}
