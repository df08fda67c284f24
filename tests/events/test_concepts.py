# ruff: noqa: E501 (tables are easier to scan with a case on each line)
"""Concept sets resolved into plain codes, by OMOP's two tables or by the parents of MEDS codes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from support.events import asthma_task

from medspark.errors import InputError
from medspark.events.concepts import freeze_concepts, id_of
from medspark.task.event_task import EventTask
from medspark.task.mapping import Mapping
from medspark.task.population import Concept

Freeze = Callable[..., dict[str, Concept]]

OMOP = {"point_zero": True, "concepts": {"ancestors": "concept_ancestor", "relationships": "concept_relationship"}}
MEDS = {"code_metadata": "metadata/codes.parquet"}
ANCESTORS = "min_levels_of_separation,descendant_concept_id,ancestor_concept_id\n0,1.0,1.0\n1,2.0,1.0\n2,3,1\n1,3,2\n1,31,30\n1,,1\n"
RELATIONS = """concept_id_1,concept_id_2,relationship_id,invalid_reason
10,20,Maps to,
10,10,Maps to,
30,11,Mapped from,
12,40,Is a,
13,50,Maps to value,
10,60,Mapped from,
"""
PARENTS = pa.table(
    {
        "code": ["A", "A/b\u00a0", "A/b/c", "A/d", "B", "B/1", "loop/1", "loop/2"],  # spaces that nobody sees
        "description": [None] * 8,
        "parent_codes": [None, ["A\u200b"], [" A/b"], ["A", "B"], [], ["B", None], ["loop/2"], ["loop/1"]],
    }
)


def task_of(path: Path, concepts: dict[str, Any], mapping: dict[str, Any], **source: Any) -> EventTask:
    """The task of asthma with other concepts, which nothing need read."""
    task = asthma_task()
    changed = Mapping.model_validate({**task.mapping.model_dump(by_alias=True), **mapping})
    place = task.source.model_copy(update={"format": "csv", "path": str(path), **source})
    sets = {name: Concept.model_validate(concept) for name, concept in concepts.items()}
    return task.model_copy(update={"concepts": sets, "mapping": changed, "source": place})


@pytest.fixture
def freeze(spark: SparkSession, tmp_path: Path) -> Freeze:
    """freeze({"name": concept}, mapping): the concepts as the tables in tmp_path resolve them."""

    def run(concepts: dict[str, Any], mapping: dict[str, Any], **source: Any) -> dict[str, Concept]:
        task = task_of(tmp_path, concepts, mapping, **source)
        return freeze_concepts(spark, task, task.mapping).concepts

    return run


@pytest.fixture
def omop(tmp_path: Path) -> None:
    (tmp_path / "concept_ancestor.csv").write_text(ANCESTORS)
    (tmp_path / "concept_relationship.csv").write_text(RELATIONS)


@pytest.fixture
def meds(tmp_path: Path) -> None:
    (tmp_path / "metadata").mkdir()
    pq.write_table(PARENTS, tmp_path / "metadata" / "codes.parquet")


RESOLVED = [
    # concept                                                       its codes
    ({"codes": ["DX/1"], "descendants": True},                      ("DX/1", "DX/2", "DX/3")),
    ({"codes": ["DX/2"], "descendants": True},                      ("DX/2", "DX/3")),
    ({"codes": ["DX/99"], "descendants": True},                     ("DX/99",)),
    ({"codes": ["DX/2", "DRUG/30"], "descendants": True},           ("DRUG/30", "DRUG/31", "DX/2", "DX/3")),
    ({"codes": ["DX/10"], "mapped": True},                          ("DX/10", "DX/20")),
    ({"codes": ["DX/11"], "mapped": True},                          ("DX/11", "DX/30")),
    ({"codes": ["DX/12", "DX/13"], "mapped": True},                 ("DX/12", "DX/13")),
    ({"codes": ["DX/11"], "mapped": True, "descendants": True},     ("DX/11", "DX/30", "DX/31")),
    ({"codes": ["ICD/sub/1"], "descendants": True, "prefixes": ["ICD/K92"], "as_one": True}, ("ICD/sub/1", "ICD/sub/2", "ICD/sub/3")),
    ({"codes": ["DX/source/K92.2"], "prefixes": ["DX/source/K92"]}, ("DX/source/K92.2",)),
    ({"prefixes": ["DX/source/K92"]},                               ()),
]  # fmt: skip


@pytest.mark.usefixtures("omop")
def test_concepts_get_the_codes_of_their_descendants_and_of_what_they_map_to(freeze: Freeze) -> None:
    found = freeze({f"c{at}": concept for at, (concept, _) in enumerate(RESOLVED)}, OMOP)
    assert [concept.codes for concept in found.values()] == [codes for _, codes in RESOLVED]
    assert not any(concept.descendants or concept.mapped for concept in found.values())
    assert [concept.prefixes for concept in found.values()][-3:] == [
        ("ICD/K92",),
        ("DX/source/K92",),
        ("DX/source/K92",),
    ]
    assert [concept.as_one for concept in found.values()] == [at == 8 for at in range(len(RESOLVED))]


@pytest.mark.usefixtures("omop")
def test_a_row_without_a_concepts_id_ends_the_run_since_a_descendant_would_be_missing(
    freeze: Freeze, tmp_path: Path
) -> None:
    (tmp_path / "concept_ancestor.csv").write_text(ANCESTORS + "1,x,1\n")
    with pytest.raises(InputError, match="expected whole numbers as concept ids, received 1 rows without them"):
        freeze({"c": {"codes": ["DX/1"], "descendants": True}}, OMOP)


@pytest.mark.usefixtures("omop")
def test_what_is_resolved_resolves_to_itself(spark: SparkSession, tmp_path: Path) -> None:
    task = task_of(tmp_path, {"c": {"codes": ["DX/11"], "mapped": True, "descendants": True}}, OMOP)
    once = freeze_concepts(spark, task, task.mapping)
    for table in tmp_path.glob("*.csv"):
        table.unlink()
    assert freeze_concepts(spark, once, once.mapping) == once  # scoring needs no vocabulary


def test_whole_numbers_of_parquet_tables_are_read_too(freeze: Freeze, tmp_path: Path) -> None:
    pairs = pa.table({"ancestor_concept_id": [1, 1, 2**53 + 1], "descendant_concept_id": [2, 3, 2**53 + 3]})
    pq.write_table(pairs, tmp_path / "concept_ancestor.parquet")
    concept = {"codes": ["DX/1", f"DX/{2**53 + 1}"], "descendants": True}
    found = freeze({"c": concept}, OMOP, format="parquet")
    assert found["c"].codes == ("DX/1", "DX/2", "DX/3", "DX/9007199254740993", "DX/9007199254740995")


@pytest.mark.usefixtures("meds")
def test_codes_of_meds_have_their_parents_below_one_another(freeze: Freeze) -> None:
    sets = {code: {"codes": [code], "descendants": True} for code in ("A", "A/b", "B", "loop/1", "Z")}
    found = freeze({f"c{at}": concept for at, concept in enumerate(sets.values())}, MEDS, format="parquet")
    assert [concept.codes for concept in found.values()] == [
        ("A", "A/b", "A/b/c", "A/d"),
        ("A/b", "A/b/c"),
        ("A/d", "B", "B/1"),
        ("loop/1", "loop/2"),
        ("Z",),
    ]


DOWN = {"codes": ["DX/1"], "descendants": True}
ACROSS = {"codes": ["DX/10"], "mapped": True}
REFUSED = [
    # concept                                               mapping                says
    (DOWN,                                                  OMOP,                  "table 'concept_ancestor': expected files at "),
    (ACROSS,                                                OMOP,                  "table 'concept_relationship': expected files at "),
    ({"codes": ["DX/source/K92.2"], "descendants": True},   OMOP,                  "code 'DX/source/K92.2': expected a concept's id after the last /, as in CONDITION/192671"),
    ({"codes": ["MEDS_DEATH"], "mapped": True},             OMOP,                  "code 'MEDS_DEATH': expected a concept's id after the last /"),
    (DOWN,                                                  {},                    "concepts c: mapping 'made-up' names no tables that relate them"),
    (DOWN,                                                  MEDS,                  "metadata/codes.parquet: expected the codes and their parents here, received nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("concept", "mapping", "says"), REFUSED)
def test_a_concept_that_cannot_be_resolved_is_told(
    concept: dict[str, Any], mapping: dict[str, Any], says: str, freeze: Freeze
) -> None:
    with pytest.raises(InputError) as error:
        freeze({"c": concept}, mapping)
    assert says in str(error.value)


def test_tables_of_concepts_without_their_columns_are_told(freeze: Freeze, tmp_path: Path) -> None:
    (tmp_path / "concept_ancestor.csv").write_text("ancestor_concept_id,descendant_id\n1,2\n")
    with pytest.raises(InputError, match="column 'descendant_concept_id' is missing"):
        freeze({"c": DOWN}, OMOP)
    (tmp_path / "metadata").mkdir()
    pq.write_table(pa.table({"code": ["A"]}), tmp_path / "metadata" / "codes.parquet")
    with pytest.raises(InputError, match="expected the columns code and parent_codes, received code"):
        freeze({"c": DOWN}, MEDS, format="parquet")


@pytest.mark.usefixtures("meds")
def test_parents_of_codes_map_nothing(freeze: Freeze) -> None:
    with pytest.raises(InputError, match="concept 'c': a file of codes and parents maps nothing to standard concepts"):
        freeze({"c": ACROSS}, MEDS, format="parquet")


@pytest.mark.parametrize(("code", "number"), [("CONDITION/192671", 192671), ("A/B/7", 7), ("8", 8)])
def test_a_concepts_id_is_the_last_part_of_its_code(code: str, number: int) -> None:
    assert id_of(code) == number


@pytest.mark.parametrize("code", ["CONDITION/", "", "CONDITION/K92.2", "A/-1", "A/1.0", "A/²", "1/A"])
def test_a_code_without_an_id_is_told(code: str) -> None:
    with pytest.raises(InputError, match="expected a concept's id after the last /"):
        id_of(code)
