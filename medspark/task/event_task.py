"""A task whose source is events: many rows a patient, made into cases by an index event and windows. No Spark here."""

from collections.abc import Collection
from typing import Any, Self

from pydantic import ConfigDict, Field, model_validator

from medspark.task.base import Name
from medspark.task.event_source import EventSource
from medspark.task.features import EventFeatures
from medspark.task.mapping import Mapping, Observation
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

    @model_validator(mode="after")
    def _labelled(self) -> Self:
        if (self.population.labels is None) != (self.outcome.label is None):
            raise ValueError("expected population.labels and outcome.label together, received one of them")
        return self

    @property
    def observation(self) -> Observation | None:
        """The codes of periods of observation; None where patients are observed from the first event to the last."""
        return None if self.population.observed_by == "events" else self.mapping.observation

    def observed_as(self, tables: Collection[str]) -> Self:
        """The task for records of which these tables have some, which says so where none of them tells periods of
        observation."""
        telling = self.mapping.period_tables
        if self.observation is None or not telling or not set(tables).isdisjoint(telling):
            return self
        return self.model_copy(update={"population": self.population.model_copy(update={"observed_by": "events"})})
