"""The synthetic hospital's patients and stays, a block of patients at a time: numpy and pandas, no Spark.

A block depends on (seed, block, patients) alone, so the hospital is the same however its blocks are spread
over machines. After each stay a readmission within 30 days is drawn from a probability that is known. Times
are the hospital's local ones and never between 02:00 and 03:00, an hour that the clocks skip or repeat.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from medspark.synth import vocabulary as v
from medspark.synth.truth import probability, sigmoid

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

PATIENTS_PER_BLOCK: Final = 1000
FIRST_DAY: Final = np.datetime64("2022-01-01", "D")
LAST_DAY: Final = np.datetime64("2024-12-31", "D")
DAYS: Final = int((LAST_DAY - FIRST_DAY).astype(int))
WINDOW: Final = 30
"""Days after discharge that count; who left in the calendar's last ones has no known outcome: `tonight`."""

ADMISSIONS_BY_CHANCE: Final = 6
"""After as many stays only readmissions within 30 days follow."""

_KIDNEY: Final = ("N18.30", "N18.4", "E11.22")
_DIABETES: Final = ("E11.9", "E11.65", "E11.22")
_ARRIVAL_HOURS: Final = np.array([0, 1, 3, 4, 5, 6, 7, *np.repeat(np.arange(8, 24), 3)])
_CHRONIC_CODES: Final = [chronic.code for chronic in v.CHRONIC]


def blocks(patients: int) -> int:
    """How many blocks hold `patients`: blocks(2001) gives 3."""
    return -(-patients // PATIENTS_PER_BLOCK)


def stream(seed: int, block: int, purpose: int) -> np.random.Generator:
    """Random numbers of a block for one purpose: 0 the hospital, others for what is done to its files."""
    return np.random.Generator(np.random.Philox(key=[seed, block], counter=[0, 0, 0, purpose]))


def block(seed: int, block: int, patients: int) -> dict[str, pd.DataFrame]:
    """One block of a hospital with `patients` in all: the frames `patients`, `admissions` and `drugs`.

    `patients`: patient_id, sex, born, and severity, which no file shows. `admissions`, ordered by patient and
    time: the columns of the flat extract (laboratory values in the unit they were reported in, NaN where not
    measured) with died, true_probability, readmitted and tonight. `drugs`, one row per stay and drug:
    admission_id, patient_id, drug (a place in `vocabulary.DRUGS`), started_at, ended_at.
    """
    rng = stream(seed, block, 0)
    first = block * PATIENTS_PER_BLOCK
    people = _people(rng, first, min(PATIENTS_PER_BLOCK, patients - first))
    stays, given = _all_stays(rng, people)
    order = np.argsort(stays["admission_id"].to_numpy(), kind="stable")
    stays, given = stays.iloc[order].reset_index(drop=True), given[order]
    return {
        "patients": pd.DataFrame({key: people[key] for key in ("patient_id", "sex", "born", "severity")}),
        "admissions": stays,
        "drugs": _drugs(stays, given),
    }


# ---------------------------------------------------------------- patients


def _people(rng: np.random.Generator, first: int, count: int) -> dict[str, Any]:
    severity = rng.normal(size=count)
    age = np.clip(rng.normal(61, 17, size=count), 18, 96)
    female = rng.random(count) < 0.52
    share = np.array([chronic.share for chronic in v.CHRONIC])
    slope = np.array([chronic.per_decade for chronic in v.CHRONIC])
    log_odds = np.log(share / (1 - share)) + slope * (age[:, None] - 60) / 10 + 0.45 * severity[:, None]
    return {
        "patient_id": first + 1 + np.arange(count),
        "sex": np.where(female, "female", "male"),
        "born": FIRST_DAY - (age * 365.25).astype(int).astype("timedelta64[D]"),
        "severity": severity,
        "chronic": rng.random((count, len(share))) < sigmoid(log_odds),
    }


# ---------------------------------------------------------------- stays


def _all_stays(rng: np.random.Generator, people: dict[str, Any]) -> tuple[pd.DataFrame, Bools]:
    """Every stay of the calendar and the drugs given in it, one round per number of the stay."""
    who = np.arange(len(people["patient_id"]))
    day = rng.integers(0, DAYS, size=len(who))
    rounds, given = [], []
    number = 0
    while len(who):
        stays, drugs = _stays(rng, people, who, day, number)
        rounds.append(stays)
        given.append(drugs)
        day = _next_day(rng, stays, number)
        goes_on = day < DAYS  # who comes after the last day is not in this calendar
        who, day = who[goes_on], day[goes_on]
        number += 1
    together = {name: np.concatenate([stays[name] for stays in rounds]) for name in rounds[0]}
    return pd.DataFrame(together), np.concatenate(given)


def _stays(
    rng: np.random.Generator, people: dict[str, Any], who: Ints, day: Ints, number: int
) -> tuple[dict[str, Any], Bools]:
    """The stays that begin on `day`, each its patient's `number`-th (from 0), and the drugs given in each."""
    count = len(who)
    severity, chronic = people["severity"][who], people["chronic"][who]
    # whoever is in the hospital on the calendar's last day leaves on it
    length = np.minimum(np.clip(rng.lognormal(1.35 + 0.25 * severity, 0.7), 1, 40).astype(int), DAYS - day)
    ward = _choose(rng, v.WARDS, count)
    given = rng.random((count, len(v.DRUGS))) < _drug_shares(chronic)
    stays: dict[str, Any] = {
        "admission_id": people["patient_id"][who] * 1000 + number,
        "patient_id": people["patient_id"][who],
        "admitted_at": _at(rng, day, _ARRIVAL_HOURS),
        "discharged_at": _at(rng, day + length, np.arange(9, 20)),
        "sex": people["sex"][who],
        "age": ((FIRST_DAY + day - people["born"][who]).astype(int) / 365.25).astype(int),
        "ward": ward,
        "admission_type": _choose(rng, v.ADMISSION_TYPES, count),
        "discharge_to": _choose(rng, v.DISCHARGES, count),
        "length_of_stay_days": length,
        **_labs(rng, people["sex"][who] == "female", severity, chronic),
        "n_prior_admissions": np.full(count, number),
        "n_drugs": given.sum(axis=1),
        **_diagnoses(rng, ward, chronic),
    }
    stays["died"] = rng.random(count) < 0.02 * np.exp(0.5 * severity - 0.125)
    stays["discharge_to"] = np.where(stays["died"], v.DIED, stays["discharge_to"])
    stays["true_probability"] = probability(stays)
    stays["readmitted"] = rng.random(count) < stays["true_probability"]
    stays["tonight"] = day + length > DAYS - WINDOW
    return stays, given


def _next_day(rng: np.random.Generator, stays: dict[str, Any], number: int) -> Ints:
    """The day of the next stay, counted from the calendar's first; beyond its end for who does not return.

    29 days at most and 31 at least, so that counting days and counting hours give the same outcome.
    """
    left = (stays["discharged_at"].astype("datetime64[D]") - FIRST_DAY).astype(int)
    count = len(left)
    soon = left + rng.integers(1, WINDOW, size=count)
    later = left + rng.integers(WINDOW + 1, 401, size=count)
    returns = (rng.random(count) < 0.45) & ~stays["died"] & (number + 1 < ADMISSIONS_BY_CHANCE)
    return np.where(stays["readmitted"], soon, np.where(returns, later, DAYS + 1))


def _labs(rng: np.random.Generator, female: Bools, severity: Floats, chronic: Bools) -> dict[str, Any]:
    """Laboratory values as reported; two sites, each with its own unit for creatinine."""
    count = len(severity)
    kidney, diabetes = _has(chronic, _KIDNEY), _has(chronic, _DIABETES)
    creatinine = rng.lognormal(np.log(np.where(female, 0.80, 0.98)) + 0.65 * kidney + 0.10 * severity, 0.28)
    micromoles = rng.random(count) < np.where(rng.random(count) < 0.65, 0.02, 0.97)
    creatinine = np.clip(creatinine, 0.3, 12)
    reported = np.where(micromoles, np.round(creatinine / v.MG_DL_PER_UMOL_L), np.round(creatinine, 2))
    unit = np.where(micromoles, v.UMOL_L, v.MG_DL).astype(object)
    hba1c = np.clip(rng.normal(5.5 + 1.9 * diabetes, 0.4 + 0.9 * diabetes), 4, 15)
    haemoglobin = rng.normal(np.where(female, 12.9, 14.1) - 0.7 * severity - 0.8 * kidney, 1.5)
    sodium = rng.normal(139 - 0.9 * severity - 1.0 * _has(chronic, ("I50.9",)), 3.2)
    missing = rng.random((4, count)) < np.broadcast_to([[0.04], [0.75], [0.05], [0.05]], (4, count))
    missing[1] &= ~diabetes | (rng.random(count) < 0.2)  # HbA1c is asked for in diabetes
    unit[missing[0]] = None
    return {
        "creatinine": np.where(missing[0], np.nan, reported),
        "creatinine_unit": unit,
        "hba1c": np.where(missing[1], np.nan, np.round(hba1c, 1)),
        "haemoglobin": np.where(missing[2], np.nan, np.round(np.clip(haemoglobin, 5, 19), 1)),
        "sodium": np.where(missing[3], np.nan, np.round(np.clip(sodium, 118, 158))),
    }


def _diagnoses(rng: np.random.Generator, ward: Any, chronic: Bools) -> dict[str, Any]:
    """What the patient came for, and up to four of the patient's lasting conditions."""
    place = rng.choice(len(v.ACUTE_SHARES), size=len(ward), p=v.ACUTE_SHARES)
    acute = np.array([[code for code, _ in v.ACUTE[name]] for name in v.WARDS], dtype=object)
    columns = {"diag_1": acute[pd.Index(list(v.WARDS)).get_indexer(ward), place]}
    noted = chronic & (rng.random(chronic.shape) < 0.9)
    order = np.argsort(~noted, axis=1, kind="stable")[:, :4]  # those noted, in the vocabulary's order
    codes = np.array(_CHRONIC_CODES, dtype=object)[order]
    codes[~np.take_along_axis(noted, order, axis=1)] = None
    return columns | {name: codes[:, place] for place, name in enumerate(v.DIAGNOSES[1:])}


def _drug_shares(chronic: Bools) -> Floats:
    treated = [_has(chronic, (drug.treats,) if drug.treats else ()) for drug in v.DRUGS]
    shares = [np.where(has, 0.75, drug.share) for has, drug in zip(treated, v.DRUGS, strict=True)]
    return np.stack(shares, axis=1)


def _drugs(stays: pd.DataFrame, given: Bools) -> pd.DataFrame:
    stay, drug = np.nonzero(given)
    keys = ["admission_id", "patient_id", "admitted_at", "discharged_at"]
    frame = stays[keys].iloc[stay].reset_index(drop=True).assign(drug=drug)
    return frame.rename(columns={"admitted_at": "started_at", "discharged_at": "ended_at"})


# ---------------------------------------------------------------- small parts


def _choose(rng: np.random.Generator, shares: dict[str, float], count: int) -> Any:
    return np.array(list(shares), dtype=object)[rng.choice(len(shares), size=count, p=list(shares.values()))]


def _at(rng: np.random.Generator, day: Ints, hours: Ints) -> Any:
    """A time on each day (days since the first), in one of `hours`, to the minute."""
    minutes = rng.choice(hours, size=len(day)) * 60 + rng.integers(0, 60, size=len(day))
    return (FIRST_DAY + day).astype("datetime64[s]") + minutes.astype("timedelta64[m]")


def _has(chronic: Bools, codes: tuple[str, ...]) -> Bools:
    places = [_CHRONIC_CODES.index(code) for code in codes]
    return np.asarray(chronic[:, places].any(axis=1))
