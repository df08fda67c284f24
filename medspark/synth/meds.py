"""The hospital as events of the Medical Event Data Standard, a block of patients at a time. No Spark here.

Laboratory values are in one unit each, `vocabulary.PANEL`'s; the first results of a stay are those of the flat
extract, creatinine in mg/dL. Times are the hospital's clock, as in the OMOP tables; the standard's have no zone. Unlike
the flat extract these events are clean. About 100 a patient.
https://medical-event-data-standard.github.io
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from medspark.synth import hospital
from medspark.synth import vocabulary as v

Frames = dict[str, pd.DataFrame]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

DATA: Final = "data"
"""The folder of the events in that of a dataset."""
SCHEMA: Final = pa.schema(
    [
        ("subject_id", pa.int64()),
        ("time", pa.timestamp("us")),
        ("code", pa.string()),
        ("numeric_value", pa.float32()),
    ]
)
SPARK_SCHEMA: Final = "subject_id bigint, time timestamp_ntz, code string, numeric_value float"

BIRTH: Final = "MEDS_BIRTH"
DEATH: Final = "MEDS_DEATH"
ADMISSION: Final = "HOSPITAL_ADMISSION"
DISCHARGE: Final = "HOSPITAL_DISCHARGE"

_PURPOSE: Final = 5
_DRIFT: Final = 0.3
"""How much a value moves within a stay, as a part of its spread between patients."""

_GENDERS: Final = {"female": "GENDER/F", "male": "GENDER/M"}
_TYPES: Final = {name: f"ADMISSION_TYPE/{name}" for name in v.ADMISSION_TYPES}
_WARDS: Final = {name: f"WARD/{name}" for name in v.WARDS}
_DESTINATIONS: Final = {name: f"DISCHARGED_TO/{name}" for name in (*v.DISCHARGES, v.DIED)}
_ACUTE: Final = [code for ward in v.ACUTE.values() for code, _ in ward]
_DIAGNOSES: Final = {code: f"ICD10CM/{code}" for code in (*(chronic.code for chronic in v.CHRONIC), *_ACUTE)}
_DRUGS: Final = [f"DRUG/{drug.name}" for drug in v.DRUGS]
LABS: Final = tuple(f"LAB/{test.name}" for test in v.PANEL)
"""The codes of `vocabulary.PANEL`, in its order."""
CODES: Final = (
    *(BIRTH, DEATH, ADMISSION, DISCHARGE),
    *(code for codes in (_GENDERS, _TYPES, _WARDS, _DESTINATIONS, _DIAGNOSES) for code in codes.values()),
    *(*_DRUGS, *LABS),
)
"""Every code that the events have."""

_PLACES: Final = {code: place for place, code in enumerate(CODES)}
_NEVER: Final = np.datetime64("NaT", "us")

_TYPICAL: Final = np.array([np.nan if test.typical is None else test.typical for test in v.PANEL])
_KNOWN: Final = np.flatnonzero(np.isnan(_TYPICAL))
"""The tests that the flat extract has."""
_SPREADS: Final = np.array([test.spread for test in v.PANEL])
_WORSE: Final = np.array([test.worse for test in v.PANEL])
_SHARES: Final = np.array([test.share for test in v.PANEL], np.float32)
_SCALES: Final = 10.0 ** np.array([test.digits for test in v.PANEL])


class _Events(NamedTuple):
    """Events in no order, n of each."""

    subject: Ints
    time: Any
    """datetime64[us]; NaT where the event has none."""
    code: Ints
    """A place in CODES."""
    value: Floats
    """NaN where the event has none."""


def events(seed: int, block: int, patients: int) -> pa.RecordBatch:
    """A block's events in SCHEMA, sorted by patient and time, those without a time first.

    An event at the same time as another follows it where that is the order of a stay: an admission comes first, then
    drugs, results, diagnoses, the discharge and the death.
    """
    frames = hospital.block(seed, block, patients)
    parts = [
        *_life(frames["patients"]),
        *_arrivals(frames["admissions"]),
        _drugs(frames["drugs"]),
        _results(hospital.stream(seed, block, _PURPOSE), frames),
        _diagnoses(frames["admissions"]),
        *_departures(frames["admissions"]),
    ]
    return _in_order(_Events(*(np.concatenate(column) for column in zip(*parts, strict=True))))


def _in_order(found: _Events) -> pa.RecordBatch:
    order = np.lexsort((found.time.view(np.int64), found.subject))  # NaT is the smallest
    time, value = found.time[order], found.value[order].astype(np.float32)
    columns = [
        pa.array(found.subject[order]),
        pa.array(time, mask=np.isnat(time)).cast(SCHEMA.field("time").type),
        pa.array(CODES, pa.string()).take(pa.array(found.code[order])),
        pa.array(value, mask=np.isnan(value)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


# ---------------------------------------------------------------- people and their stays


def _life(people: pd.DataFrame) -> list[_Events]:
    subject = people["patient_id"]
    return [_plain(subject, _NEVER, _mapped(people["sex"], _GENDERS)), _plain(subject, people["born"], _PLACES[BIRTH])]


def _arrivals(stays: pd.DataFrame) -> list[_Events]:
    codes = [_PLACES[ADMISSION], _mapped(stays["admission_type"], _TYPES), _mapped(stays["ward"], _WARDS)]
    return [_plain(stays["patient_id"], stays["admitted_at"], code) for code in codes]


def _departures(stays: pd.DataFrame) -> list[_Events]:
    dead = stays[stays["died"]]
    codes = [_PLACES[DISCHARGE], _mapped(stays["discharge_to"], _DESTINATIONS)]
    left = [_plain(stays["patient_id"], stays["discharged_at"], code) for code in codes]
    return [*left, _plain(dead["patient_id"], dead["discharged_at"], _PLACES[DEATH])]


def _drugs(given: pd.DataFrame) -> _Events:
    """The start of each drug."""
    return _plain(given["patient_id"], given["started_at"], _PLACES[_DRUGS[0]] + given["drug"].to_numpy())


def _diagnoses(stays: pd.DataFrame) -> _Events:
    """The diagnoses of a stay at its discharge: that is when they are coded."""
    codes = np.stack([stays[name].to_numpy(dtype=object) for name in v.DIAGNOSES], axis=1)
    stay, place = np.nonzero(~pd.isna(codes))
    noted = stays.iloc[stay]
    return _plain(noted["patient_id"], noted["discharged_at"], _mapped(pd.Series(codes[stay, place]), _DIAGNOSES))


def _plain(subject: "pd.Series[Any]", time: Any, code: Any) -> _Events:
    """Events without a number; one time or code is everybody's."""
    count = len(subject)
    times = np.broadcast_to(np.asarray(time, "datetime64[us]"), count)
    return _Events(subject.to_numpy(), times, np.broadcast_to(code, count), np.full(count, np.nan))


def _mapped(words: "pd.Series[Any]", codes: dict[str, str]) -> Ints:
    """The place in CODES of each word's code."""
    places = np.array([_PLACES[code] for code in codes.values()])
    found: Ints = places[pd.Index(list(codes)).get_indexer(pd.Index(words))]
    return found


# ---------------------------------------------------------------- laboratory results


def _results(rng: np.random.Generator, frames: Frames) -> _Events:
    """Blood is drawn once in each of a stay's equal parts, of which it has one more than days."""
    stays = frames["admissions"]
    level = _levels(rng, frames)
    draws = stays["length_of_stay_days"].to_numpy() + 1
    stay = np.repeat(np.arange(len(stays)), draws)
    number = np.arange(len(stay)) - np.repeat(np.cumsum(draws) - draws, draws)
    admitted, discharged = (stays[name].to_numpy("datetime64[s]")[stay] for name in ("admitted_at", "discharged_at"))
    share = (number + rng.random(len(stay))) / draws[stay]
    time = admitted + np.floor(share * (discharged - admitted).astype(int)).astype("timedelta64[s]")
    draw, test = np.nonzero(_asked(rng, number == 0) & ~np.isnan(level)[stay])
    drift = np.where(number[draw] == 0, 0.0, _DRIFT * _SPREADS[test] * rng.standard_normal(len(draw)))
    value = np.round(level[stay[draw], test] * np.exp(drift) * _SCALES[test]) / _SCALES[test]
    return _Events(stays["patient_id"].to_numpy()[stay[draw]], time[draw], _PLACES[LABS[0]] + test, value)


def _levels(rng: np.random.Generator, frames: Frames) -> Floats:
    """What each test of PANEL is on arrival, a row a stay; NaN where the flat extract has no value of its own tests."""
    stays, people = frames["admissions"], frames["patients"]
    severity = people["severity"].to_numpy()[np.searchsorted(people["patient_id"], stays["patient_id"])]
    noise = rng.standard_normal((len(stays), len(v.PANEL)))
    level: Floats = _TYPICAL * np.exp(_SPREADS * (noise + severity[:, None] * _WORSE))
    to_mg_dl = np.where(stays["creatinine_unit"] == v.UMOL_L, v.MG_DL_PER_UMOL_L, 1.0)
    known = stays.assign(creatinine=stays["creatinine"] * to_mg_dl)
    level[:, _KNOWN] = known[[v.PANEL[place].name for place in _KNOWN]]
    return level


def _asked(rng: np.random.Generator, first: Any) -> Any:
    """Which tests are asked for, a row a draw: on arrival always those that the flat extract has."""
    asked = rng.random((len(first), len(v.PANEL)), dtype=np.float32) < _SHARES
    asked[np.ix_(first, _KNOWN)] = True
    return asked
