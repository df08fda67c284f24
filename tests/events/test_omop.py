"""conf/sources/omop.yaml on the tables that a warehouse may have or lack, and what patients are observed by."""

from pathlib import Path

from pyspark.sql import SparkSession
from support.mapped import Read
from support.places import ROOT
from support.roads import telling_run

from medspark.schemas import ATTRITION, CASES
from medspark.stages.clean import clean_stage
from medspark.stages.features import features_stage, observed_as_cases, require_cases
from medspark.store.tables import read_table
from medspark.task.event_task import EventTask
from medspark.task.load import check_task
from medspark.task.yaml_text import read_yaml

MAPPING = read_yaml(ROOT / "conf" / "sources" / "omop.yaml")
FILES = {
    "visit_detail.csv": "person_id,visit_occurrence_id,visit_detail_concept_id,visit_detail_source_value,"
    "visit_detail_start_date,visit_detail_start_datetime,visit_detail_end_date,visit_detail_end_datetime\n"
    "1,7,32037,ICU,2020-01-02,2020-01-02 08:00:00,2020-01-03,2020-01-03 09:00:00\n"
    "2,8,0,Ward 4,2020-01-02,,,\n",
    "condition_era.csv": "condition_era_id,person_id,condition_concept_id,condition_era_start_date,"
    "condition_era_end_date,condition_occurrence_count\n5.0,1.0,192671.0,2020-01-05,2020-02-01,1.0\n",
    "specimen.csv": "person_id,specimen_concept_id,specimen_source_value,specimen_date,specimen_datetime,quantity,"
    "unit_concept_id,unit_source_value\n1,4001225,BLD,2020-01-04,2020-01-04 10:30:00,5,0,mL\n2,0,TISS,2020-01-04,,,,\n",
}
EVENTS = [
    # subject, code, time, number, text, unit, known
    (1, "CONDITION_ERA/192671", "2020-01-05 00:00:00", None, None, None, "2020-01-06 00:00:00"),
    (1, "SPECIMEN/4001225", "2020-01-04 10:30:00", 5.0, None, "mL", None),
    (1, "VISIT_DETAIL/32037", "2020-01-02 08:00:00", None, None, None, None),
    (1, "VISIT_DETAIL_END/32037", "2020-01-03 09:00:00", None, None, None, None),
    (2, "SPECIMEN/source/TISS", "2020-01-04 00:00:00", None, None, None, "2020-01-05 00:00:00"),
    (2, "VISIT_DETAIL/source/Ward 4", "2020-01-02 00:00:00", None, None, None, "2020-01-03 00:00:00"),
]


def test_parts_of_visits_eras_and_specimens_are_events(read: Read) -> None:
    tables = {name.removesuffix(".csv"): MAPPING["tables"][name.removesuffix(".csv")] for name in FILES}
    settings = {name: MAPPING[name] for name in ("midnight", "date_only_known", "point_zero")}
    found = read(FILES, tables, **settings)
    assert found.events == EVENTS
    assert found.aside == []


PERSONS = (
    "person_id,year_of_birth,gender_concept_id,race_concept_id,ethnicity_concept_id\n1,1950,8507,0,0\n2,1960,8532,0,0\n"
)
CONDITIONS = "person_id,condition_concept_id,condition_start_date\n1,7,2020-01-01\n1,9,2020-01-20\n2,7,2020-03-01\n"
PERIODS = "person_id,observation_period_start_date,observation_period_end_date\n1,2019-01-01,2021-01-01\n"


def task_at(folder: Path) -> EventTask:
    task, problems = check_task(
        {
            "task": "nine",
            "title": "Nine after seven",
            "source": {"kind": "events", "mapping": "omop", "format": "csv", "path": str(folder)},
            "mapping": MAPPING,
            "population": {"index": {"event": "seven", "take": "every"}},
            "concepts": {"seven": {"codes": ["CONDITION/7"]}, "nine": {"codes": ["CONDITION/9"]}},
            "outcome": {"name": "nine", "event": "nine", "to_days": 30, "follow_up": "keep_all"},
            "features": {"demographics": ["age", "sex"]},
        }
    )
    assert problems == []
    assert isinstance(task, EventTask)
    return task


def test_a_mapping_whose_periods_no_table_of_its_own_tells_stays_as_it_is(tmp_path: Path) -> None:
    task = task_at(tmp_path)
    assert task.mapping.period_tables == ("observation_period",)
    any_code = {"subject": "id", "columns": {"id": "long", "code": "string"}, "events": [{"code": "{code}"}]}
    for tables, telling in [({"data": any_code}, ("data",)), ({"death": MAPPING["tables"]["death"]}, ())]:
        own = task.mapping.model_validate({**MAPPING, "tables": tables})
        assert own.period_tables == telling
        assert task.model_copy(update={"mapping": own}).observed_as(tables).population.observed_by is None


def observed(spark: SparkSession, source: Path, store: Path) -> tuple[EventTask, list[tuple[int, bool]], bool, str]:
    """The task as it is trained, the cases with their outcome, whether patients may be unobserved, and what is said."""
    run, heard = telling_run(spark, store)
    task = clean_stage(run, task_at(source))
    features_stage(run, task)
    trained = observed_as_cases(run, task)
    assert isinstance(trained, EventTask)
    require_cases(run, trained)
    cases = read_table(spark, str(store), CASES).select("subject_id", "boolean_value").orderBy("subject_id").collect()
    criteria = [row.criterion for row in read_table(spark, str(store), ATTRITION).collect()]
    return trained, [tuple(row) for row in cases], "not observed" in criteria, heard()


def test_without_periods_patients_are_observed_by_events_and_a_bundle_says_so(
    spark: SparkSession, tmp_path: Path
) -> None:
    for name, text in {"person.csv": PERSONS, "condition_occurrence.csv": CONDITIONS}.items():
        (tmp_path / name).write_text(text)
    trained, cases, may_be_unobserved, said = observed(spark, tmp_path, tmp_path / "without")
    assert cases == [(1, True), (2, False)]
    assert not may_be_unobserved
    assert "observed    from the first event to the last: the source has no observation_period" in said
    assert trained.population.observed_by == "events"
    (tmp_path / "observation_period.csv").write_text(PERIODS.splitlines()[0] + "\n1,2019-01-01,yesterday\n")
    trained, cases, may_be_unobserved, said = observed(spark, tmp_path, tmp_path / "set-aside")
    assert cases == [(1, True), (2, False)]
    assert not may_be_unobserved
    assert "the source has no row that could be kept of observation_period" in said
    assert trained.population.observed_by == "events"
    (tmp_path / "observation_period.csv").write_text(PERIODS)
    by_periods, cases, may_be_unobserved, said = observed(spark, tmp_path, tmp_path / "with")
    assert cases == [(1, True)]  # nobody knows of the other whether they were there
    assert may_be_unobserved
    assert "observed    " not in said
    assert by_periods.population.observed_by is None
    assert trained.observed_as(["person", "observation_period"]) == trained  # the rule of its training
