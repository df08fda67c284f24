"""The task file: everything about one prediction, as closed and frozen models that mirror the YAML key for key.

`load_task(path)` reads one; `medspark.task_checks` adds the rules that cross sections. No Spark here.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from medspark.errors import TaskError

Action = Literal["set_aside", "missing", "fail"]
"""What a violation does: quarantine the row, empty the value and count it, or end the run."""

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=80)]


class Closed(BaseModel):
    """A section of the task file: an unknown key is an error and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


# ---------------------------------------------------------------- columns


class Range(Closed):
    """Allowed values, both ends included; written `[1, 14]`, with `null` for an open end."""

    low: float | None = None
    high: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_pair(cls, value: Any) -> Any:
        if isinstance(value, list) and len(value) == 2:
            return {"low": value[0], "high": value[1]}
        return value

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError("expected at least one end, as in [0, 120] or [0, null]")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"expected the lower end first, received [{self.low:g}, {self.high:g}]")
        return self


class Scale(Closed):
    """A linear conversion: value * factor + offset."""

    factor: float = 1.0
    offset: float = 0.0

    @model_validator(mode="before")
    @classmethod
    def _from_factor(cls, value: Any) -> Any:
        return {"factor": value} if isinstance(value, int | float) else value


class Units(Closed):
    """How a column that mixes units is brought to one: the column that names each row's unit, and the conversions."""

    column: str
    to_unit: dict[str, Scale] = Field(min_length=1)
    when_missing: str | None = None
    """The unit of a row that names none; without it such a row breaks the rule."""


class ColumnBase(Closed):
    missing: tuple[str, ...] = ()
    """Spellings of a missing value, besides the source's and the empty one; compared exactly."""
    required: bool = False
    otherwise: Action = "set_aside"
    """What happens to a value that cannot be read as the type, or breaks a rule of this column."""


class NumberColumn(ColumnBase):
    type: Literal["long", "integer", "double", "decimal"]
    unit: str | None = None
    range: Range | None = None
    units: Units | None = None
    precision: int = Field(default=18, ge=1, le=38)
    scale: int = Field(default=4, ge=0, le=38)


class IntervalColumn(ColumnBase):
    """Text such as "[70-80)", read as the middle of the interval."""

    type: Literal["interval"]
    unit: str | None = None
    range: Range | None = None


class BooleanColumn(ColumnBase):
    type: Literal["boolean"]
    true_values: tuple[str, ...] = ("true",)
    false_values: tuple[str, ...] = ("false",)


class CategoryColumn(ColumnBase):
    type: Literal["category"]
    levels: tuple[str, ...] | None = None
    lookup: str | None = None
    """A look-up table of this task: its value takes the code's place."""


class TextColumn(ColumnBase):
    type: Literal["string"]
    matches: str | None = None
    """A regular expression (Java's) that the whole value must match."""


class CodeColumn(ColumnBase):
    type: Literal["code"]
    system: Literal["ICD9CM", "ICD10CM"]
    roll_up: Literal["none", "category"] = "none"


class DateColumn(ColumnBase):
    type: Literal["date", "timestamp"]
    format: str
    """A Spark datetime pattern, such as yyyy-MM-dd or yyyy-MM-dd HH:mm:ss."""


Column = Annotated[
    NumberColumn | IntervalColumn | BooleanColumn | CategoryColumn | TextColumn | CodeColumn | DateColumn,
    Field(discriminator="type"),
]


class Derived(Closed):
    """A column computed from the others by a Spark SQL expression, after their own rules have run."""

    type: Literal["double", "category", "boolean"]
    expression: str


# ---------------------------------------------------------------- source and cleaning


class Duplicates(Closed):
    """Rows alike in `same` are one row written again; `keep` says which of them counts."""

    same: Literal["whole_row"] | tuple[str, ...]
    keep: Literal["first", "latest", "earliest"] = "first"
    by: str | None = None
    """The column that orders them for latest and earliest; ties go by file and line."""


class TableSource(Closed):
    """One row per case."""

    kind: Literal["table"]
    path: str
    format: Literal["csv", "json", "ndjson", "parquet", "orc"]
    case: str
    subject: str
    time: str | None = None
    """The column with the prediction time, where the source has one."""
    timezone: str = "UTC"
    """The IANA zone of timestamps written without one; stored times are UTC."""
    missing: tuple[str, ...] = ()
    encoding: Literal["utf-8", "iso-8859-1", "windows-1252"] = "utf-8"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    header: bool = True
    quoted_newlines: bool = False
    """Whether a quoted CSV field may run over several lines; then a file is read by one task."""
    duplicates: Duplicates | None = None


class Lookup(Closed):
    """A code table: the columns `key` and `value` of a CSV file, or the pairs themselves in `entries`.

    A file may hold several tables under one another: the one whose header has `key` and `value` is read,
    down to the next empty line.
    """

    path: str | None = None
    key: str | None = None
    value: str | None = None
    missing: tuple[str, ...] = ()
    entries: dict[str, str | None] | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        from_file = self.path is not None and self.key is not None and self.value is not None
        if from_file == (self.entries is not None):
            raise ValueError("expected either path, key and value, or entries")
        return self


class Check(Closed):
    """A rule across columns: a row for which `expect` is false breaks it (unknown, from a null, passes)."""

    name: str
    expect: str
    otherwise: Literal["set_aside", "fail"] = "set_aside"


class Exclusion(Closed):
    name: str
    when: str
    because: str


class Outcome(Closed):
    name: str
    when: str


# ---------------------------------------------------------------- features


class NumericFeature(Closed):
    column: str
    scaling: Literal["standard", "robust", "quantile", "none"] = "standard"
    impute: Literal["mean", "median", "zero"] | float = "median"
    missing_indicator: bool = False


class CategoricalFeature(Closed):
    column: str
    at_least: int = Field(default=20, ge=1)
    """Levels rarer than this in the training split are read as unknown."""


class CodesFeature(Closed):
    columns: tuple[str, ...] = Field(min_length=1, alias="from")
    at_least: int = Field(default=20, ge=1)


def _short_form(value: Any) -> Any:
    """A feature without settings of its own may be written as its column's name."""
    return {"column": value} if isinstance(value, str) else value


class Features(Closed):
    numeric: tuple[Annotated[NumericFeature, BeforeValidator(_short_form)], ...] = ()
    categorical: tuple[Annotated[CategoricalFeature, BeforeValidator(_short_form)], ...] = ()
    codes: dict[Name, CodesFeature] = Field(default_factory=dict)

    def columns(self) -> list[str]:
        """Every column that a feature reads, once, in the order of the task file."""
        names = [numeric.column for numeric in self.numeric]
        names += [categorical.column for categorical in self.categorical]
        names += [column for codes in self.codes.values() for column in codes.columns]
        return list(dict.fromkeys(names))


# ---------------------------------------------------------------- learning


class Split(Closed):
    """Shares of the subjects, by a hash of the subject's id; `seed` draws another division."""

    train: float = Field(default=0.7, gt=0, lt=1)
    valid: float = Field(default=0.1, gt=0, lt=1)
    test: float = Field(default=0.2, gt=0, lt=1)
    folds: int | None = Field(default=None, ge=3, le=50)
    """Parts of the subjects for `medspark train --cross-validate`."""
    seed: int = 0

    @model_validator(mode="after")
    def _whole(self) -> Self:
        total = self.train + self.valid + self.test
        if abs(total - 1) > 1e-9:
            raise ValueError(f"expected train + valid + test = 1, received {total:g}")
        return self


class Network(Closed):
    kind: Literal["tabular"] = "tabular"
    size: Literal["small", "medium", "large"] = "small"
    embedding: int = Field(default=6, ge=1, le=512)
    """Width of the vector learned for each category."""
    dropout: float = Field(default=0.35, ge=0, lt=1)
    members: int = Field(default=1, ge=1, le=20)
    """Networks trained from different seeds; the model is the mean of their logits."""


class Training(Closed):
    epochs: int = Field(default=20, ge=1)
    batch_size: int = Field(default=512, ge=1)
    patience: int = Field(default=3, ge=1)
    """Epochs without a better validation loss before training stops at the best one."""
    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: float = Field(default=1e-3, gt=0)
    schedule: Literal["cosine", "constant"] = "cosine"
    weight_decay: float = Field(default=1e-4, ge=0)
    """Decoupled decay; of adamw only."""
    l2: float = Field(default=0.0, ge=0)
    class_weight: Literal["none", "balanced"] = "none"
    calibration: Literal["platt", "isotonic", "none"] = "platt"
    seed: int = 0


class Gates(Closed):
    """Held-out performance that a new bundle must reach; otherwise training ends with exit code 4 and no bundle."""

    auroc_at_least: float | None = Field(default=None, ge=0, le=1)
    calibration_slope: Range | None = None


class Report(Closed):
    subgroups: tuple[str, ...] = ()
    bootstrap: int = Field(default=300, ge=2)
    """Resamples of patients for each interval."""


class Task(Closed):
    """One prediction: sources, cleaning rules, who is scored, the label, the features, the split, the network."""

    task: Name
    title: str
    intended_use: str | None = None
    not_for: str | None = None
    source: TableSource
    columns: dict[str, Column] = Field(min_length=1)
    derived: dict[str, Derived] = Field(default_factory=dict)
    lookups: dict[Name, Lookup] = Field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    exclude: tuple[Exclusion, ...] = ()
    outcome: Outcome
    features: Features
    split: Split = Split()
    network: Network = Network()
    training: Training = Training()
    risk_bands: dict[str, Annotated[float, Field(gt=0, lt=1)]] = Field(default_factory=dict)
    """The name of each band and the probability it starts at; below the lowest the band is `low`."""
    gates: Gates = Gates()
    report: Report = Report()


# ---------------------------------------------------------------- reading


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core rules: `No` and `010` are text, and a key written twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is written twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"^(?:true|false)$", "tf"),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    ("float", r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
    ("null", r"^(?:~|null|)$", "~n\0"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^$"), [""])


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, `${NAME}` filled from the environment in every text.

    Raises:
        TaskError: the file is absent, is not YAML or no mapping, or names an unset variable.
    """
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except FileNotFoundError:
        raise TaskError(str(path), ["expected a task file here, received none"]) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TaskError(str(path), [f"expected YAML in UTF-8: {error}"]) from None
    if not isinstance(raw, dict):
        raise TaskError(str(path), [f"expected keys and values, received {type(raw).__name__}"])
    unset = sorted({name for name in _variables(raw) if name not in os.environ})
    if unset:
        raise TaskError(
            str(path),
            [f"${{{name}}} is not set in the environment. Set it: export {name}=..." for name in unset],
        )
    filled = _fill(raw)
    assert isinstance(filled, dict)
    return filled


_VARIABLE = re.compile(r"\$\{(\w+)\}")


def _variables(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from _VARIABLE.findall(value)
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _variables(item)


def _fill(value: Any) -> Any:
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: os.environ[match[1]], value)
    if isinstance(value, dict):
        return {key: _fill(item) for key, item in value.items()}
    return [_fill(item) for item in value] if isinstance(value, list) else value


def dump_task(task: Task) -> str:
    """The task as YAML, every setting written out, to be read by `read_yaml` again."""
    data = task.model_dump(mode="json", by_alias=True, exclude_none=True)
    for name, lookup in task.lookups.items():
        if lookup.entries is not None:  # a code whose meaning is missing keeps its null
            data["lookups"][name]["entries"] = dict(lookup.entries)
    return yaml.dump(data, sort_keys=False, allow_unicode=True, width=100, Dumper=_Dumper)


class _Dumper(yaml.SafeDumper):
    """Writes by `_Loader`'s rules: text that it would read as a number or a boolean is quoted."""


_Dumper.yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers
