"""One synthetic hospital as OMOP, as FHIR bulk data and as MEDS: the same cases and the same scores."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import SparkSession
from support.places import ROOT
from support.roads import new_run

from medspark.bundles.bundle import load_bundle
from medspark.schemas import CASES, EVENT_COLUMNS, RECORDS, SCORES
from medspark.stages.clean import clean_stage
from medspark.stages.features import features_stage
from medspark.stages.meds import meds_stage
from medspark.stages.score import score_stage
from medspark.stages.train import train_stage
from medspark.store.tables import read_table
from medspark.synth.write import write_hospital
from medspark.task.load import load_task
from medspark.task.yaml_text import read_yaml

PATIENTS, SEED = 150, 5
SODIUM = "MEASUREMENT/3019550"
"""Whose results are whole numbers: those of MEDS have 32 bits."""
OMOP_GENDERS = {"GENDER/male": "GENDER/8507", "GENDER/female": "GENDER/8532"}

Row = tuple[Any, ...]


def task_on(folder: Path, mapping: str, form: str, path: Path) -> Any:
    """conf/tasks/readmission-omop-synthetic.yaml on another source, small; nobody is lost to follow-up, since only OMOP
    says until when patients are observed."""
    raw = read_yaml(ROOT / "conf" / "tasks" / "readmission-omop-synthetic.yaml")
    raw |= {"task": mapping, "source": {"kind": "events", "mapping": mapping, "format": form, "path": str(path)}}
    raw["outcome"]["follow_up"] = "keep_all"
    raw["concepts"]["sodium"] = {"codes": [SODIUM]}
    raw["features"]["values"]["labs"]["of"] = ["sodium"]
    raw["features"]["demographics"] = ["age"]
    raw |= {"network": {"members": 1, "hidden": [8]}, "training": {"epochs": 2}, "report": {"bootstrap": 2}}
    raw["scoring"] = {"absent": "warn"}  # OMOP's network scores others, which have no table person
    del raw["gates"]
    place = folder / f"{mapping}.yaml"
    place.write_text(yaml.safe_dump(raw))
    return load_task(place)


@pytest.fixture(scope="module")
def stores(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A store of each, with records, cases, and scores by the network that OMOP's cases made."""
    folder = tmp_path_factory.mktemp("hospital")
    write_hospital(spark, str(folder), PATIENTS, SEED, partitions=1, parts=["omop", "fhir"])
    found: dict[str, Path] = {}
    bundle = None
    for mapping, form, place in (("omop", "csv", "omop"), ("fhir", "fhir", "fhir"), ("meds", "parquet", "meds")):
        task = task_on(folder, mapping, form, folder / place)
        found[mapping] = folder / f"of-{mapping}"
        run = new_run(spark, found[mapping])
        frozen = clean_stage(run, task)
        features_stage(run, frozen)
        if bundle is None:
            bundle = load_bundle(train_stage(run, frozen))
            meds_stage(new_run(spark, found["omop"]), frozen, str(folder / "meds"), threshold=0.5)
        score_stage(run, bundle._replace(task=frozen), None)
    return found


def records(spark: SparkSession, store: Path) -> list[Row]:
    """Events without when they became known, since OMOP's midnight is a date without a time."""
    wanted = [name for name in EVENT_COLUMNS if name != "available_time"]
    rows = read_table(spark, str(store), RECORDS).select(*wanted).collect()
    plain = [(str(row[0]), row[1], OMOP_GENDERS.get(row[2], row[2]), *row[3:]) for row in rows]
    return sorted((row for row in plain if not row[2].startswith("OBSERVATION_PERIOD")), key=repr)


def cases(spark: SparkSession, store: Path) -> list[dict[str, Any]]:
    rows = [row.asDict(recursive=True) for row in read_table(spark, str(store), CASES).orderBy("case_id").collect()]
    return [{**row, "subject_id": str(row["subject_id"])} for row in rows]


def scores(spark: SparkSession, store: Path) -> list[Row]:
    frame = read_table(spark, str(store), SCORES)
    numbers = [name for name, dtype in frame.dtypes if dtype in ("double", "float")]
    rows = frame.select("case_id", *numbers).orderBy("case_id").collect()
    return [(row.case_id, *(None if value is None else float(value).hex() for value in row[1:])) for row in rows]


@pytest.mark.slow
def test_omop_fhir_and_meds_give_the_same_cases_and_the_same_scores_to_the_last_bit(
    spark: SparkSession, stores: dict[str, Path]
) -> None:
    assert records(spark, stores["fhir"]) == records(spark, stores["omop"])
    of_omop = cases(spark, stores["omop"])
    assert len(of_omop) > PATIENTS
    assert any(case["boolean_value"] for case in of_omop)
    scored = scores(spark, stores["omop"])
    assert len({row[1:] for row in scored}) > PATIENTS / 2
    for other in ("fhir", "meds"):
        assert cases(spark, stores[other]) == of_omop, other
        assert scores(spark, stores[other]) == scored, other
