"""The synthetic hospital's known truth: the probability of a readmission within 30 days of each stay."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from medspark.synth import vocabulary as v

Floats = npt.NDArray[np.float64]

INTERCEPT: Final = -3.56
SIGNAL: Final = {
    "prior admissions, at most 3": 0.28,
    "days of stay, at most 15": 0.055,
    "decades of age above 60": 0.20,
    "heart failure": 0.55,
    "COPD": 0.50,
    "kidney disease": 0.28,
    "cancer": 0.82,
    "doublings of creatinine above 1 mg/dL": 0.33,
    "HbA1c above 6 %": 0.16,
    "haemoglobin below 13 g/dL": 0.18,
    "sodium below 139 mmol/L": 0.08,
    "emergency": 0.60,
    "nursing home": 0.45,
    "against advice": 1.30,
    "drugs above 5": 0.065,
    "heart failure times prior admissions": 0.24,
}
"""The log odds that each term adds. A value that was not measured adds nothing: the truth is within reach."""

_CANCER: Final = ("C34.90", "C18.9", "C50.919", "C78.00", "C79.51")
_KIDNEY: Final = ("N18.30", "N18.4", "E11.22")


def probability(stays: dict[str, Any]) -> Floats:
    """The true probability per stay, from the columns of the flat extract; 0 for who died in the hospital.

    Rounded to nine digits, so that processors whose last bits differ make the same hospital.
    """
    alive: Floats = (stays["discharge_to"] != v.DIED).astype(np.float64)
    return np.round(alive * sigmoid(log_odds(stays)), 9)


def log_odds(stays: dict[str, Any]) -> Floats:
    """The true log odds of a readmission within 30 days, per stay."""
    diagnoses = np.stack([stays[name] for name in v.DIAGNOSES])
    heart_failure = np.isin(diagnoses, ("I50.9",)).any(axis=0)
    prior = np.minimum(stays["n_prior_admissions"], 3)
    terms = {
        "prior admissions, at most 3": prior,
        "days of stay, at most 15": np.minimum(stays["length_of_stay_days"], 15),
        "decades of age above 60": (stays["age"] - 60) / 10,
        "heart failure": heart_failure,
        "COPD": np.isin(diagnoses, ("J44.9", "J44.1")).any(axis=0),
        "kidney disease": np.isin(diagnoses, _KIDNEY).any(axis=0),
        "cancer": np.isin(diagnoses, _CANCER).any(axis=0),
        "doublings of creatinine above 1 mg/dL": np.log2(_in_mg_dl(stays)),
        "HbA1c above 6 %": stays["hba1c"] - 6,
        "haemoglobin below 13 g/dL": 13 - stays["haemoglobin"],
        "sodium below 139 mmol/L": 139 - stays["sodium"],
        "emergency": stays["admission_type"] == "emergency",
        "nursing home": stays["discharge_to"] == "nursing home",
        "against advice": stays["discharge_to"] == "against advice",
        "drugs above 5": stays["n_drugs"] - 5,
        "heart failure times prior admissions": heart_failure * prior,
    }
    added: list[Floats] = [SIGNAL[name] * np.nan_to_num(term.astype(float)) for name, term in terms.items()]
    return np.asarray(INTERCEPT + np.sum(added, axis=0))


def _in_mg_dl(stays: dict[str, Any]) -> Floats:
    factor = np.where(stays["creatinine_unit"] == v.UMOL_L, v.MG_DL_PER_UMOL_L, 1.0)
    value: Floats = stays["creatinine"] * factor
    return value


def sigmoid(log_odds: Floats) -> Floats:
    """Log odds to probability."""
    return 1 / (1 + np.exp(-log_odds))
