"""What codes are called: by MEDS's metadata, by OMOP's concepts, or not at all."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.events import MAPPING, asthma_task

from medspark.encode.kinds.events import BagStatistics
from medspark.encode.kinds.table import CategoricalStatistics
from medspark.encode.statistics import Statistics
from medspark.events.names import code_names


def statistics(*codes, sex=()):
    bag = BagStatistics(column="past", codes=codes, counts=(9,) * len(codes), rare=0, missing_share=0, width=4)
    levels = CategoricalStatistics(column="sex", levels=sex, counts=(9,) * len(sex), rare=0, missing_share=0)
    return Statistics(cases=9, numeric=(), categorical=(levels,), codes=(), bags=(bag,))


def task_of(folder, form, **mapping):
    source = {"kind": "events", "mapping": "made-up", "format": form, "path": str(folder)}
    return asthma_task(source=source, mapping={**MAPPING, "demographics": {"sex": "GENDER"}, **mapping})


def test_a_file_of_codes_names_those_it_describes(spark, tmp_path):
    (tmp_path / "metadata").mkdir()
    codes, words = ["DX/a\u00a0", "DX/b", "DX/c", "GENDER\u200b/F"], ["Asthma", None, "Cough", "woman"]
    table = pa.table({"code": codes, "description": words})
    pq.write_table(table, tmp_path / "metadata" / "codes.parquet")
    task = task_of(tmp_path, "parquet", code_metadata="metadata/codes.parquet")
    assert code_names(spark, task, statistics("DX/a", "DX/b", "DX/z", sex=("F", "M"))) == {
        "DX/a": "Asthma",
        "sex F": "woman",
    }


CONCEPTS = "concept_id,concept_name,vocabulary_id\n192671,GI hemorrhage,SNOMED\n0,No match,None\nx,odd,y\n"


def test_omops_concepts_name_codes_by_the_id_that_they_end_in(spark, tmp_path):
    (tmp_path / "CONCEPT.csv").write_text(CONCEPTS)
    tables = {"ancestors": "concept_ancestor", "relationships": "concept_relationship"}
    task = task_of(tmp_path, "csv", concepts=tables)
    found = code_names(spark, task, statistics("CONDITION/192671", "CONDITION/0", "CONDITION/source/192671", "DRUG/5"))
    assert found == {"CONDITION/192671": "GI hemorrhage"}


@pytest.mark.parametrize("mapping", [{}, {"code_metadata": "metadata/codes.parquet"}])
def test_a_source_without_names_gives_none(spark, tmp_path, mapping):
    assert code_names(spark, task_of(tmp_path, "parquet", **mapping), statistics("DX/a")) == {}
