"""Tensors of the made-up stays, scored in each way and written anew."""

import pyarrow as pa
import pyarrow.parquet as pq

from medspark.bundles.bundle import load_bundle
from medspark.score.serve import statistics_digest
from medspark.stages.score import score_tensors_stage
from medspark.store.facts import TensorsFacts, write_facts
from medspark.store.tables import publish
from support.roads import new_run, scores_of

WAYS = {
    "workers": {"reader": "workers"},
    "spark-reads": {"reader": "spark", "writer": "workers"},
    "spark": {"writer": "spark"},
}
"""Who reads the tensors, and who writes the scores."""


def score_tensors(spark, road, store, name, **options):
    run = new_run(spark, road["folder"] / name)
    score_tensors_stage(run, load_bundle(road["bundle"]), str(store), **options)
    return scores_of(spark, run.store), run


def rewritten(spark, road, encoded, folder, change=lambda table: table, group=100, files=2):
    """A store with the same tensors, changed, in row groups of `group` rows and some files."""
    tables = [pq.read_table(path) for path in sorted((encoded[0] / "tensors").glob("*/*.parquet"))]
    whole = change(pa.concat_tables(tables).combine_chunks())
    place = folder / "tensors" / "made"
    place.mkdir(parents=True)
    each = -(-whole.num_rows // files)
    for at in range(files):
        pq.write_table(whole.slice(at * each, each), place / f"part-{at}.parquet", row_group_size=group)
    bundle = load_bundle(road["bundle"])
    facts = TensorsFacts(statistics_digest(bundle), whole.num_rows, str(folder))
    write_facts(spark.sparkContext, str(place), facts)
    publish(spark.sparkContext, str(folder), ["tensors"], "made")
    return whole


def spoil(table):
    """Each of the first rows made unscorable in a way of its own."""
    columns = {name: table[name].to_pylist() for name in table.column_names}
    columns["numeric"][0] = None
    columns["numeric"][1] = [float("nan"), *columns["numeric"][1][1:]]
    columns["numeric"][2] = [float("inf"), *columns["numeric"][2][1:]]
    columns["numeric"][3] = columns["numeric"][3][:-1]
    columns["numeric"][4] = [*columns["numeric"][4][:-1], None]
    columns["categories"][5] = [10_000] * len(columns["categories"][5])
    columns["codes_diagnoses"][6] = [-1, *columns["codes_diagnoses"][6][1:]]
    columns["codes_diagnoses"][7] = [*columns["codes_diagnoses"][7], 1, 1]
    columns["numeric"][8] = [3e38] * len(columns["numeric"][8])
    kinds = {name: table[name].type for name in columns}
    kinds |= {name: pa.list_(kind.value_type) for name, kind in kinds.items() if pa.types.is_list(kind)}
    return pa.table({name: pa.array(values, kinds[name]) for name, values in columns.items()})


REASONS = {
    "unscorable: numeric is null or not 2 numbers": 3,
    "unscorable: numeric is not finite": 2,
    "unscorable: categories has an id outside its vocabulary": 1,
    "unscorable: codes_diagnoses has an id outside its vocabulary": 1,
    "unscorable: codes_diagnoses is null or not 2 numbers": 1,
    "unscorable: the network's answer is not finite": 1,
}
