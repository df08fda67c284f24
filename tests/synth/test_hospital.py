import csv
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from medspark.synth import dirt, flat, hospital, omop, truth
from medspark.synth import vocabulary as v

SEED = 11
PATIENTS = 6000


@pytest.fixture(scope="module")
def stays() -> pd.DataFrame:
    """Every stay of six blocks."""
    return pd.concat(
        [hospital.block(SEED, number, PATIENTS)["admissions"] for number in range(hospital.blocks(PATIENTS))],
        ignore_index=True,
    )


def auroc(outcome: np.ndarray, score: np.ndarray) -> float:
    ranks = pd.Series(score).rank().to_numpy()
    positives = outcome.sum()
    u = ranks[outcome].sum() - positives * (positives + 1) / 2
    return u / (positives * (len(outcome) - positives))


def test_a_block_is_the_same_every_time_and_another_seed_gives_another():
    once, again, other = (hospital.block(seed, 3, PATIENTS) for seed in (SEED, SEED, SEED + 1))
    for name in once:
        pd.testing.assert_frame_equal(once[name], again[name])
    assert not once["admissions"]["admitted_at"].equals(other["admissions"]["admitted_at"])


def test_blocks_differ_and_a_full_block_does_not_depend_on_how_many_follow():
    first, second = (hospital.block(SEED, number, PATIENTS)["admissions"] for number in (0, 1))
    assert not first["age"].head(100).equals(second["age"].head(100))
    pd.testing.assert_frame_equal(first, hospital.block(SEED, 0, 1000)["admissions"])


@pytest.mark.parametrize(
    ("patients", "sizes"), [(1, [1]), (1000, [1000]), (1001, [1000, 1]), (2500, [1000, 1000, 500])]
)
def test_the_last_block_holds_the_rest(patients: int, sizes: list[int]):
    made = [hospital.block(SEED, n, patients)["patients"] for n in range(hospital.blocks(patients))]
    assert [len(people) for people in made] == sizes
    assert pd.concat(made)["patient_id"].tolist() == list(range(1, patients + 1))


def test_prevalence_and_the_best_possible_auroc_are_a_hard_but_solvable_problem(stays: pd.DataFrame):
    alive = stays[~stays["died"]]
    assert 0.11 < alive["readmitted"].mean() < 0.16
    assert 0.78 < auroc(alive["readmitted"].to_numpy(), alive["true_probability"].to_numpy()) < 0.82


def test_the_true_probabilities_are_calibrated(stays: pd.DataFrame):
    tenth = pd.qcut(stays["true_probability"], 10, labels=False)
    means = {"p": ("true_probability", "mean"), "y": ("readmitted", "mean"), "n": ("died", "size")}
    groups = stays.groupby(tenth).agg(**means)
    error = np.sqrt(groups["p"] * (1 - groups["p"]) / groups["n"])
    assert ((groups["y"] - groups["p"]).abs() < 4 * error).all()


def test_the_true_probability_is_a_function_of_what_the_extract_shows(stays: pd.DataFrame):
    shown = stays[[name for name in flat.COLUMNS if name in stays]]
    again = truth.probability({name: shown[name].to_numpy() for name in shown})
    np.testing.assert_array_equal(again, stays["true_probability"])


def test_a_known_outcome_is_a_stay_within_30_days_by_the_calendar_and_by_the_clock(
    stays: pd.DataFrame,
):
    amsterdam = ZoneInfo("Europe/Amsterdam")
    following = stays.groupby("patient_id")["admitted_at"].shift(-1)
    days = (following.dt.normalize() - stays["discharged_at"].dt.normalize()).dt.days
    hours = following.dt.tz_localize(amsterdam) - stays["discharged_at"].dt.tz_localize(amsterdam)
    known = ~stays["tonight"]
    assert (stays["readmitted"] == days.between(0, 30))[known].all()
    assert (stays["readmitted"] == hours.between(pd.Timedelta(0), pd.Timedelta(days=30)))[known].all()


def test_no_time_falls_in_the_hour_that_the_clocks_skip_or_repeat(stays: pd.DataFrame):
    for name in ("admitted_at", "discharged_at"):
        assert (stays[name].dt.hour != 2).all()
    assert (stays["discharged_at"] > stays["admitted_at"]).all()


def test_tonight_are_the_stays_that_ended_in_the_last_30_days_of_the_calendar(stays: pd.DataFrame):
    last = pd.Timestamp(hospital.LAST_DAY)
    ended = stays["discharged_at"].dt.normalize()
    assert ended.max() <= last
    assert (stays["tonight"] == (ended > last - pd.Timedelta(days=30))).all()
    assert 0.02 < stays["tonight"].mean() < 0.05


def test_nobody_comes_back_after_dying_in_the_hospital(stays: pd.DataFrame):
    assert (stays["died"] == (stays["discharge_to"] == v.DIED)).all()
    assert 0.01 < stays["died"].mean() < 0.03
    assert not stays.loc[stays["died"], "readmitted"].any()
    assert stays[stays["died"]].equals(stays.groupby("patient_id").tail(1).query("died"))


def test_stays_are_numbered_in_time_and_their_keys_are_unique(stays: pd.DataFrame):
    assert stays["admission_id"].is_unique
    assert (stays["n_prior_admissions"] == stays.groupby("patient_id").cumcount()).all()
    assert (stays.groupby("patient_id")["admitted_at"].diff().dropna() > pd.Timedelta(0)).all()
    assert (stays.groupby("patient_id").size() <= 6).mean() > 0.98


def test_labs_are_missing_about_as_often_as_meant_and_creatinine_has_its_unit(
    stays: pd.DataFrame,
):
    missing = stays[["creatinine", "hba1c", "haemoglobin", "sodium"]].isna().mean()
    assert missing["hba1c"] > 0.4
    assert missing.drop("hba1c").between(0.02, 0.08).all()
    assert (stays["creatinine_unit"].isna() == stays["creatinine"].isna()).all()
    assert stays["creatinine_unit"].value_counts(normalize=True).between(0.2, 0.8).all()


def test_a_row_has_one_kind_of_dirt_at_most_and_shares_hold_over_small_blocks():
    rng = np.random.default_rng(0)
    kinds = np.concatenate([dirt.assign(rng, 60) for _ in range(2000)])
    found = dirt.count(kinds)
    for kind in dirt.KINDS:
        assert found[kind.name] == pytest.approx(kind.share * len(kinds), rel=0.2), kind.name


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_dirt_fits_into_very_few_rows(rows: int):
    assert len(dirt.assign(np.random.default_rng(0), rows)) == rows


def test_the_rules_of_dirt_are_distinct_so_that_counts_compare():
    rules = [kind.rule for kind in dirt.KINDS]
    assert len(set(rules)) == len(rules)


def test_csv_records_are_quoted_only_where_they_must_be():
    table = pa.table({"a": [1, None], "b": ['says "no", twice', "plain"], "c": [0.5, 2.0]})
    lines = flat.csv_lines(table)
    assert lines == [b'1,"says ""no"", twice",0.5', b",plain,2"]
    assert list(csv.reader([lines[0].decode()])) == [["1", 'says "no", twice', "0.5"]]


def test_a_block_without_stays_of_a_part_has_no_lines():
    assert flat.lines(SEED, 0, 1, flat.ADMISSIONS) + flat.lines(SEED, 0, 1, flat.TONIGHT)
    lines = [flat.lines(seed, 0, 1, flat.TONIGHT) for seed in range(20)]
    assert [] in lines


@pytest.mark.parametrize("name", omop.TABLES)
def test_an_omop_table_has_every_column_of_the_model_even_without_rows(name: str):
    frames = {key: frame.head(0) for key, frame in hospital.block(SEED, 0, 1).items()}
    table = omop.table(name, frames)
    assert table.column_names == omop.COLUMNS[name]
    assert table.num_rows == 0
