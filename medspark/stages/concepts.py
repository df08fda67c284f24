"""The concepts command: what each concept of a task has in a store's records."""

from medspark.cases.events import count_concepts
from medspark.events.concepts import freeze_concepts
from medspark.runs.run import Run
from medspark.stages.features import require_records
from medspark.stages.records import current_records
from medspark.task.event_task import EventTask


def concepts_stage(run: Run, task: EventTask) -> None:
    """Say for each concept of the task how many codes, events and patients it has in the store's records.

    Raises:
        InputError: there are no records, or they were made by another mapping.
    """
    with run.receipt.timed("concepts"), run.progress("concepts"):
        task = freeze_concepts(run.spark, task, task.mapping)
        found = count_concepts(current_records(run, require_records(run, task)), task.concepts)
    run.receipt.counts["concepts"] = {name: {"events": n, "patients": m} for name, (n, m) in found.items()}
    run.say(f"  {'concept':<22}{'codes':>12}{'events':>12}{'patients':>12}")
    for name, (events, patients) in found.items():
        concept = task.concepts[name]
        codes = f"{len(concept.codes):,}" + (" + prefix" if concept.prefixes else "")
        run.say(f"  {name:<22}{codes:>12}{events:>12,}{patients:>12,}")
