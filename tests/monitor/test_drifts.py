"""Drifts that are planted in made-up nights are caught and named the same night, and nights without drift are not."""

import numpy as np
import pytest
from support.nights import cases, tally, trained

from medspark.monitor.drift import SCORES, compare
from medspark.monitor.reference import Reference
from medspark.monitor.verdict import findings_of, verdict_of
from medspark.task.monitoring import Monitoring


@pytest.fixture(scope="module")
def bundle():
    return trained()


def night(bundle, n=1000, seed=77, **changes):
    """A night of n cases, some of whose columns are functions of all the columns."""
    statistics, reference = bundle
    columns = cases(n, seed)
    columns |= {name: change(columns) for name, change in changes.items()}
    return tally(reference.plan, statistics, columns)


def found_in(bundle, seen, settings=None, draws=1999):
    reference = bundle[1]
    return findings_of(
        reference.plan, compare(reference, seen, draws), reference.tally(), seen, settings or Monitoring()
    )


def some(columns, share, seed=5):
    return np.random.default_rng(seed).random(len(columns["age"])) < share


def test_a_creatinine_in_another_unit_in_three_rows_of_ten_is_named_and_stops_the_night(bundle):
    seen = night(bundle, creatinine=lambda c: np.where(some(c, 0.3), c["creatinine"] * 88.42, c["creatinine"]))
    found = found_in(bundle, seen)
    assert (found[0].subject, found[0].measure, found[0].verdict) == ("creatinine", "units", "stop")
    assert "µmol/L in place of mg/dL (creatinine)" in found[0].sentence
    assert found[0].value == pytest.approx(0.3, abs=0.04)


def test_temperatures_in_fahrenheit_are_named(bundle):
    found = found_in(bundle, night(bundle, temperature=lambda c: c["temperature"] * 1.8 + 32))
    assert (found[0].subject, found[0].measure, found[0].verdict) == ("temperature", "units", "stop")
    assert "°F in place of °C" in found[0].sentence


def test_a_lab_that_vanished_stops_the_night(bundle):
    found = found_in(bundle, night(bundle, creatinine=lambda c: np.full(len(c["age"]), np.nan)))
    assert (found[0].subject, found[0].measure, found[0].verdict) == ("creatinine", "missing", "stop")
    assert found[0].sentence.startswith("creatinine: 100.0 % of the cases (training: 10")


def test_a_lab_without_an_indicator_that_vanished_is_taken_for_its_median_and_stops_the_night(bundle):
    """Training lacked no temperature, so nothing in the tensors says that one is missing but its median."""
    found = found_in(bundle, night(bundle, temperature=lambda c: np.full(len(c["age"]), np.nan)))
    assert (found[0].subject, found[0].measure, found[0].verdict) == ("temperature", "missing", "stop")
    assert found[0].sentence.endswith("have no value, or the one that stands for it")


def test_a_level_that_training_did_not_have_is_named(bundle):
    found = found_in(bundle, night(bundle, site=lambda c: np.where(some(c, 0.1), "east", c["site"])))
    unseen = next(one for one in found if one.measure == "unseen")
    assert (unseen.subject, unseen.verdict) == ("site", "warn")
    assert "training did not have" in unseen.sentence


def test_a_code_that_training_did_not_have_is_named(bundle):
    found = found_in(bundle, night(bundle, first=lambda c: np.where(some(c, 0.3), "U07", c["first"])))
    unseen = next(one for one in found if one.measure == "unseen")
    assert unseen.subject == "diagnoses"
    assert unseen.value == pytest.approx(0.3, abs=0.04)


def test_a_code_that_is_suddenly_common_is_named(bundle):
    found = found_in(bundle, night(bundle, first=lambda c: np.where(some(c, 0.4), "D3", c["first"])))
    common = next(one for one in found if one.measure == "codes")
    assert common.sentence.startswith("diagnoses: D3 ")


def test_an_older_case_mix_is_named_with_the_ages_and_so_are_its_scores(bundle):
    found = found_in(bundle, night(bundle, age=lambda c: c["age"] + 12))
    assert {(one.subject, one.measure) for one in found if not one.column} == {(SCORES, "scores"), ("age", "psi")}
    assert verdict_of(found) == "stop"  # so many more high risks that somebody should look


def test_ordinary_drift_is_not_taken_for_another_unit(bundle):
    found = found_in(bundle, night(bundle, creatinine=lambda c: c["creatinine"] * 1.25))
    assert [one.measure for one in found if one.subject == "creatinine" and not one.column] == ["psi"]


def test_what_is_wrong_at_one_site_alone_is_told_of_that_site(bundle):
    def gone_in_the_west(columns):
        return np.where(columns["site"] == "west", np.nan, columns["creatinine"])

    found = found_in(bundle, night(bundle, n=4000, creatinine=gone_in_the_west))
    of_sites = [one for one in found if one.column == "site" and one.measure == "missing"]
    assert [(one.subject, one.level, one.verdict) for one in of_sites] == [("creatinine", "west", "warn")]
    assert of_sites[0].sentence.startswith("creatinine where site is west: 100.0 %")


def test_what_is_found_can_be_made_to_stop_by_the_task(bundle):
    seen = night(bundle, site=lambda c: np.where(some(c, 0.1), "east", c["site"]))
    strict = Monitoring(stop={"unseen": 0.05})
    assert verdict_of(found_in(bundle, seen)) == "warn"
    assert verdict_of(found_in(bundle, seen, strict)) == "stop"


# ---------------------------------------------------------------- nights without drift


@pytest.mark.parametrize("n", [60, 800])
def test_of_200_nights_without_drift_no_more_are_false_alarms_than_the_task_says(bundle, n):
    """Whatever the size of what is found: every limit is next to nothing. 5 % of 200 nights are 10; of such a count
    one in a thousand is above 20."""
    least = dict.fromkeys(("psi", "scores", "codes", "missing", "unseen", "outside", "units"), 1e-9)
    settings = Monitoring(false_alarms=0.05, warn=least)
    alarms = sum(bool(found_in(bundle, night(bundle, n, 1000 + at), settings, draws=399)) for at in range(200))
    assert alarms <= 20


def test_a_patient_whose_three_cases_are_alike_counts_as_one(bundle):
    """Each case comes three times: as many alarms as are allowed, where three times as many cases would be alarming."""
    statistics, reference = bundle
    settings = Monitoring(false_alarms=0.05, warn=dict.fromkeys(("psi", "scores", "codes"), 1e-9))
    alarms = {1.0: 0, 3.0: 0}
    for at in range(100):
        seen = tally(
            reference.plan, statistics, {name: np.repeat(each, 3) for name, each in cases(200, 3000 + at).items()}
        )
        for size in alarms:
            compared = compare(reference, seen, 199, cases_a_patient=size)
            alarms[size] += bool(findings_of(reference.plan, compared, reference.tally(), seen, settings))
    assert alarms[3.0] <= 13  # 5 % are 5; above 13 is one such count in a thousand
    assert alarms[1.0] > 50


@pytest.mark.parametrize("n", [0, 1])
def test_a_night_of_no_case_or_of_one_has_no_drift(bundle, n):
    assert found_in(bundle, night(bundle, n)) == []


def test_a_night_without_a_subgroup_is_compared_as_a_whole():
    alone = trained(subgroups=())
    found = found_in(alone, night(alone, creatinine=lambda c: c["creatinine"] * 88.42))
    assert found[0].measure == "units"
    assert {one.column for one in found} == {""}


def test_a_number_that_training_hardly_had_has_two_cells_missing_and_there():
    few = np.full(3000, np.nan)
    few[:30] = 1.0
    rare = trained(3000, columns={"creatinine": few})
    gauge = next(gauge for gauge in rare[1].plan.gauges if gauge.name == "creatinine")
    assert (gauge.edges, gauge.cells) == ((), 2)
    found = found_in(rare, night(rare, creatinine=lambda c: np.where(some(c, 0.5), 1.0, np.nan)))
    assert [(one.measure, one.subject) for one in found if not one.column] == [("psi", "creatinine")]


def test_the_reference_is_the_same_once_it_was_written_and_read(bundle):
    reference = bundle[1]
    again = Reference.model_validate_json(reference.model_dump_json())
    assert again == reference
    assert (again.tally().counts == reference.tally().counts).all()
