"""The flat extract: a row per stay, as text, with the harmless disorder of a real one. No Spark here.

Harmless is what cleaning undoes without a loss: several spellings of a missing value, codes in lower case or
without their dot, spaces around numbers, two units of creatinine, commas and quotes inside quoted text.
"""

from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from medspark.synth import dirt, hospital
from medspark.synth import vocabulary as v

ADMISSIONS: Final = "admissions"
TONIGHT: Final = "tonight"
PARTS: Final = (ADMISSIONS, TONIGHT)
"""Stays with a known outcome, and those of the last 30 days, without the outcome's column."""

OUTCOME: Final = "readmitted_30d"
REASON: Final = "reason_for_admission"
NUMBERS: Final = (
    "age",
    "length_of_stay_days",
    "creatinine",
    "hba1c",
    "haemoglobin",
    "sodium",
    "n_prior_admissions",
    "n_drugs",
)
COLUMNS: Final = (
    "admission_id",
    "patient_id",
    "admitted_at",
    "discharged_at",
    "sex",
    "age",
    "ward",
    "admission_type",
    "discharge_to",
    "length_of_stay_days",
    "creatinine",
    "creatinine_unit",
    "hba1c",
    "haemoglobin",
    "sodium",
    "n_prior_admissions",
    "n_drugs",
    *v.DIAGNOSES,
    REASON,
    OUTCOME,
)

_MISSING: Final = np.array(["", "NA", "unknown"], dtype=object)
_MISSING_SHARES: Final = (0.8, 0.12, 0.08)
_REASONS: Final = {code: reason for ward in v.ACUTE.values() for code, reason in ward}
_COMPLAINTS: Final = (
    ', says "I can\'t breathe"',
    ', worse at night, "never had this before"',
    ": found by neighbour, confused",
    ', referred by GP with "please assess"',
)


def columns(part: str) -> list[str]:
    """The header of a part: tonight's rows have no outcome yet."""
    return [name for name in COLUMNS if part == ADMISSIONS or name != OUTCOME]


def lines(seed: int, block: int, patients: int, part: str) -> list[bytes]:
    """A block's CSV records of one part, dirt included, without line ends."""
    stays = _stays_of(seed, block, patients, part)
    purpose = PARTS.index(part)
    cells = _cells(hospital.stream(seed, block, 1 + purpose), stays)[columns(part)]
    rng = hospital.stream(seed, block, 3 + purpose)
    kinds = dirt.assign(rng, len(cells))
    dirty = dirt.soil_cells(rng, cells, kinds)
    clean = csv_lines(pa.Table.from_pandas(dirty, preserve_index=False))
    return dirt.soil_lines(rng, clean, kinds, columns(part))


def counts(seed: int, block: int, patients: int, part: str) -> dict[str, int]:
    """How many stays a block has in one part, under "stays", and how many rows of each kind of dirt."""
    stays = _stays_of(seed, block, patients, part)
    kinds = dirt.assign(hospital.stream(seed, block, 3 + PARTS.index(part)), len(stays))
    return {"stays": len(stays)} | dirt.count(kinds)


def csv_lines(table: pa.Table) -> list[bytes]:
    """A table's rows as CSV records in UTF-8: null is empty, a field with a comma or quote is quoted."""
    fields: Any = [_quoted(column.combine_chunks().cast(pa.string())) for column in table.columns]
    joined = pc.binary_join_element_wise(*fields, ",", null_handling="replace", null_replacement="")
    found: list[bytes] = joined.cast(pa.binary()).to_pylist()
    return found


def _stays_of(seed: int, block: int, patients: int, part: str) -> pd.DataFrame:
    stays = hospital.block(seed, block, patients)["admissions"]
    return stays[stays["tonight"] == (part == TONIGHT)].reset_index(drop=True)


def _cells(rng: np.random.Generator, stays: pd.DataFrame) -> pd.DataFrame:
    """Every cell as text, in one of the spellings that an extract has for it."""
    outcome = np.where(stays["readmitted"], "yes", "no")
    frame = stays.assign(**{REASON: _reasons(rng, stays), OUTCOME: outcome})
    frame["sex"] = frame["sex"].mask(rng.random(len(frame)) < 0.01)
    cells = {name: _text(frame[name]) for name in COLUMNS}
    for name in NUMBERS:
        cells[name] = np.where(rng.random(len(frame)) < 0.03, " " + cells[name] + " ", cells[name])
    for name in v.DIAGNOSES:
        cells[name] = _spelled(rng, cells[name])
    for name in COLUMNS:
        missing = frame[name].isna().to_numpy()
        cells[name][missing] = rng.choice(_MISSING, size=missing.sum(), p=_MISSING_SHARES)
    return pd.DataFrame(cells)


def _text(column: "pd.Series[Any]") -> Any:
    text = pa.array(column, from_pandas=True).cast(pa.string())
    return np.array(text.fill_null("").to_pylist(), dtype=object)


def _spelled(rng: np.random.Generator, codes: Any) -> Any:
    """One code in eight without its dot, one in twelve in lower case."""
    undotted, lower = rng.random(len(codes)) < 1 / 8, rng.random(len(codes)) < 1 / 12
    plain = np.where(undotted, [code.replace(".", "") for code in codes], codes)
    return np.where(lower, [code.lower() for code in plain], plain).astype(object)


def _reasons(rng: np.random.Generator, stays: pd.DataFrame) -> Any:
    """Free text, some of it with commas and quotes, some missing."""
    count = len(stays)
    diagnosis = stays["diag_1"].map(_REASONS).to_numpy(dtype=object)
    days = rng.integers(2, 15, size=count).astype(str).astype(object)
    complaint = np.array(_COMPLAINTS, dtype=object)[rng.integers(0, len(_COMPLAINTS), size=count)]
    style = rng.random(count)
    long = np.where(style < 0.80, diagnosis + ", since " + days + " days", diagnosis + complaint)
    long[style > 0.95] = None
    return np.where(style < 0.60, diagnosis, long)


def _quoted(column: Any) -> Any:
    special = pc.match_substring_regex(column, '[",\r\n]')
    doubled = pc.binary_join_element_wise('"', pc.replace_substring(column, '"', '""'), '"', "")
    return pc.if_else(special, doubled, column)
