"""Any task, and how it is written down."""

from medspark.task.event_task import EventTask
from medspark.task.table_task import TableTask
from medspark.task.yaml_text import write_yaml

Task = TableTask | EventTask


def dump_task(task: Task) -> str:
    """The task as YAML, every setting written out, to be read by `read_yaml` again."""
    data = task.model_dump(mode="json", by_alias=True, exclude_none=True)
    if isinstance(task, TableTask):
        for name, lookup in task.lookups.items():
            if lookup.entries is not None:  # a code whose meaning is missing keeps its null
                data["lookups"][name]["entries"] = dict(lookup.entries)
    return write_yaml(data)
