"""A task whose source is events: many rows a patient, made into cases by an index event and windows. No Spark here."""

from typing import Any

from pydantic import ConfigDict, Field

from medspark.task.base import Name
from medspark.task.event_source import EventSource
from medspark.task.features import EventFeatures
from medspark.task.mapping import Mapping
from medspark.task.outcome import EventOutcome
from medspark.task.population import Clock, Concept, Population
from medspark.task.training import TaskBase


def _mapping_may_be_named(schema: dict[str, Any]) -> None:
    """A task file names its mapping in `source`, so that editors must not ask for the mapping itself."""
    schema["required"].remove("mapping")


class EventTask(TaskBase):
    """One prediction from events."""

    model_config = ConfigDict(json_schema_extra=_mapping_may_be_named)

    source: EventSource
    mapping: Mapping
    """The mapping itself; `load_task` reads it from `source.mapping` where a file does not hold it, as a bundle's
    does."""
    concepts: dict[Name, Concept] = Field(default_factory=dict)
    population: Population
    outcome: EventOutcome
    time: Clock = Clock()
    features: EventFeatures
