"""A task whose source is events: many rows a patient, made into cases by an index event and windows. No Spark here."""

from pydantic import Field

from medspark.task.base import Name
from medspark.task.event_source import EventSource
from medspark.task.features import EventFeatures
from medspark.task.mapping import Mapping
from medspark.task.population import Clock, Concept, EventOutcome, Population
from medspark.task.training import TaskBase


class EventTask(TaskBase):
    """One prediction from events."""

    source: EventSource
    mapping: Mapping | None = None
    """The mapping itself; read from `source.mapping` where a task does not hold it, as a bundle's does."""
    concepts: dict[Name, Concept] = Field(default_factory=dict)
    population: Population
    outcome: EventOutcome
    time: Clock = Clock()
    features: EventFeatures
