"""What every task says, whatever its source: split, network, training, thresholds, report. No Spark here."""

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from medspark.task.base import MOST_DAYS, Closed, Name, Range, unsaid
from medspark.task.card import Card
from medspark.task.monitoring import Monitoring
from medspark.task.spelling import Spelling
from medspark.task.tuning import Tuning
from medspark.task.updating import Updating

LEAST_FOLDS = 3
"""Members from which on each leaves out a fold."""


class Temporal(Closed):
    """Learn from earlier cases, test on later ones."""

    test_from: AwareDatetime
    """Cases from then on are tested on; those before are learned from. A time zone must be said, such as Z."""
    gap_days: float = Field(default=0, ge=0, le=MOST_DAYS)
    """Cases of so many days before it are left out, so that no outcome learned from falls into the time of testing."""


class HeldOutSite(Closed):
    """Learn at some sites, test at others."""

    column: str
    """One of `report.subgroups`."""
    held_out: Annotated[tuple[Spelling, ...], Field(min_length=1)]
    """Its levels that are tested on."""


class SubjectSplits(Closed):
    """The sides of patients that somebody else has drawn."""

    path: str
    """A Parquet file as MEDS has `subject_splits`: `subject_id`, and in `split` train, tuning or held_out."""
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$", exclude_if=unsaid)
    """The digest that the file must have. A bundle's task says it."""


class Split(Closed):
    """Shares of the subjects, by a hash of the subject's id; `seed` draws another division."""

    train: float = Field(default=0.7, gt=0, lt=1)
    """The share that the network learns from."""
    valid: float = Field(default=0.1, gt=0, lt=1)
    """The share that says when to stop and how to calibrate."""
    test: float = Field(default=0.2, gt=0, lt=1)
    """The share that the report measures, and nothing learns from."""
    folds: int | None = Field(default=None, ge=3, le=50)
    """Parts of the subjects for `medspark train --cross-validate`, and for that of `tune`."""
    repeats: int | None = Field(default=None, ge=2, le=100, exclude_if=unsaid)
    """Divisions into folds that are cross-validated, each of its own; one where the task says none."""
    seed: int = 0
    """Draws another division of the same patients."""
    temporal: Temporal | None = Field(default=None, exclude_if=unsaid)
    """Of the patients of train and valid the earlier cases alone, of those of test the later ones."""
    site: HeldOutSite | None = Field(default=None, exclude_if=unsaid)
    """Test: all cases of the sites held out; train and valid: of patients who were never there."""
    subjects: SubjectSplits | None = Field(default=None, exclude_if=unsaid)
    """Sides by a file, and not by shares: train, tuning as valid, held_out as test; who is not in it is on none."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.repeats is not None and self.folds is None:
            raise ValueError("expected folds beside repeats: they are what is repeated")
        total = self.train + self.valid + self.test
        if abs(total - 1) > 1e-9:
            raise ValueError(f"expected train + valid + test = 1, received {total:g}")
        return self


class ImageNetwork(Closed):
    """A residual network of convolutions, and how its images are varied while it learns."""

    filters: Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], Field(min_length=1)] | None = None
    """Of each stage, in place of those of the network's `size`; each stage but the first halves the sides."""
    shift: float = Field(default=0.1, ge=0, le=0.5)
    """In training an image is moved by up to this share of its sides."""
    flip: bool = False
    """In training an image may be mirrored, left to right; of a chest that would move the heart."""
    weights: str | None = None
    """A Keras file to start from: a network of one image of this size, or one with such networks in it, as a bundle's
    is."""


DROPOUT = 0.2
"""Where a task says none and nothing teaches."""


class Network(Closed):
    kind: Literal["tabular", "plain"] = "tabular"
    """tabular: ramps between quantiles, and a linear path; plain: scaled numbers and hidden layers alone."""
    size: Literal["small", "medium", "large"] = "small"
    """Widths of the hidden layers, the larger the more it can tell apart and the more cases it needs."""
    hidden: Annotated[tuple[Annotated[int, Field(ge=1, le=65_536)], ...], Field(min_length=1)] | None = None
    """Widths of the hidden layers, in place of those of `size`."""
    embedding: int = Field(default=6, ge=1, le=512)
    """Width of the vector learned for each category."""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """Share of a hidden layer that is left out at each step of training. Where the task says none it is 0.2, or nothing
    where boosting teaches: what it says is no chance outcome."""
    members: int = Field(default=8, ge=1, le=20)
    """Networks trained from different seeds; the model is the mean of their logits. From three on each leaves out a
    fold of the patients, on which it is judged."""

    sequence: Literal["attention", "gru", "lstm", "transformer"] = "attention"
    """What reads a sequence. attention picks events one by one, and each member has its own. The others read each event
    in the light of those before it; they are dear, so the members share one, and the validation split judges them."""
    images: ImageNetwork = ImageNetwork()
    student: Literal["small", "medium", "large"] | None = None
    """A plain network of one member and at most 20,000, 100,000 or 500,000 weights, which learns what the network above
    it, its teacher, says of patients that it did not learn from. The student is what is served."""

    @property
    def dropout_rate(self) -> float:
        """The share that is left out where nothing teaches."""
        return DROPOUT if self.dropout is None else self.dropout

    @property
    def cross_fitted(self) -> bool:
        """Whether each member leaves out a fold of the training and validation splits' patients.

        What members share has learned from every fold, so none of them could judge the fold it left out.
        """
        shares = self.kind == "tabular" and self.sequence != "attention"
        return self.members >= LEAST_FOLDS and not shares


class Pretraining(Closed):
    """A first phase without outcomes: the encoders of sequences foretell the next event of the training split's
    patients, whether or not they are cases."""

    epochs: int = Field(default=3, ge=1, le=1000)
    """Times that all histories are read."""
    batch_size: int = Field(default=64, ge=1, le=2**16)
    """Excerpts of histories, each as long as the sequence."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """The largest step."""


StopOn = Literal["auroc", "auprc", "brier"]

MOST_WORKERS = 64


def alone(workers: object) -> bool:
    """Whether one learns, as all did before there could be more: it is then not written down."""
    return workers == 1


def by_boosting(taught_by: object) -> bool:
    """Whether members are taught as where a task says nothing: it is then not written down."""
    return taught_by == "boosting"


class Training(Closed):
    epochs: int | None = Field(default=None, ge=1, le=100_000)
    """At most; by the number of cases where the task says none."""
    batch_size: int | None = Field(default=None, ge=1, le=2**20)
    """By the number of cases where the task says none."""
    patience: int = Field(default=8, ge=1)
    """Epochs without a better loss on cases not trained on before training stops at the best one."""
    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    """What is made small: cross-entropy, or focal loss, which looks more at cases that are told badly."""
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    """The rule of each step."""
    learning_rate: float = Field(default=2e-3, gt=0)
    """The largest step."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Whether steps shrink along a half cosine, or stay as large."""
    weight_decay: float = Field(default=0.05, ge=0)
    """Decoupled decay; of adamw only."""
    l2: float = Field(default=0.0, ge=0)
    """Weight of the squared weights in the loss."""
    warmup: int | None = Field(default=None, ge=1, exclude_if=unsaid)
    """Steps in which the learning rate rises from a tenth to the whole, before the schedule; where the task says none,
    50, or a quarter of all steps, of cosine."""
    clip_norm: float | None = Field(default=None, gt=0, exclude_if=unsaid)
    """The length of a step's gradient at most, all weights together."""
    label_smoothing: float | None = Field(default=None, gt=0, lt=1, exclude_if=unsaid)
    """The share of a label that is spread evenly over its outcomes while a network learns."""
    ema: float | None = Field(default=None, gt=0, lt=1, exclude_if=unsaid)
    """Keep the exponential moving average of the weights, of which this much stays at each step, such as 0.999."""
    stop_on: StopOn | None = Field(default=None, exclude_if=unsaid)
    """What decides which epoch is best, on cases not trained on; their loss where the task says none."""
    class_weight: Literal["none", "balanced"] = "none"
    """Whether the rarer outcome counts as much as the commoner one; risks are calibrated afterwards."""
    calibration: Literal["platt", "isotonic", "none"] = "platt"
    """How logits become probabilities, on held-out patients: by a line, by steps where they say more than the line,
    or not at all."""
    taught_by: Literal["boosting", "none"] = Field(default="boosting", exclude_if=by_boosting)
    """What members of a tabular network learn from: what gradient boosting says that learned from the same patients, or
    the outcomes themselves. Boosting teaches where members leave out folds, all inputs are numbers, categories and
    codes, and `loss` and `class_weight` are the defaults, without `label_smoothing`."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """Of the first weights and the order of the cases."""
    pretrain: Pretraining | None = None
    window_mb: int | None = Field(default=None, ge=1, exclude_if=unsaid)
    """Megabytes of tensors that are shuffled together; learning takes up to three times as much of them, whatever the
    data's size. 512 where the task says none."""
    workers: int = Field(default=1, ge=1, le=MOST_WORKERS, exclude_if=alone)
    """Spark tasks that learn together, each from its share of every batch; one learns in the command's own process."""

    @property
    def is_plain(self) -> bool:
        """Whether its logits mean risks: cross-entropy, without weights of classes or smoothing."""
        return self.loss == "cross_entropy" and self.class_weight == "none" and self.label_smoothing is None


class Gates(Closed):
    """Held-out performance that a new bundle must reach; otherwise training ends with exit code 4 and no bundle."""

    auroc_at_least: float | None = Field(default=None, ge=0, le=1)
    """The least AUROC of the test patients."""
    calibration_slope: Range | None = None
    """The allowed slopes: 1 is ideal, below 1 the risks are too extreme."""
    calibration_intercept: Range | None = None
    """Calibration in the large, in logits: 0 is ideal, below 0 the risks are too high on average."""
    no_worse_subgroup: bool = Field(default=False, exclude_if=unsaid)
    """Refuse a model that ranks a level of `report.subgroups` worse than all other cases, beyond chance."""


class Report(Closed):
    subgroups: tuple[str, ...] = ()
    """Columns, or derived columns, whose levels the report compares: sex, bands of age, site."""
    bootstrap: int = Field(default=300, ge=2, le=100_000)
    """Resamples of patients for each interval."""
    agreement: int | None = Field(default=None, ge=11, le=1_000, exclude_if=unsaid)
    """Of so many of the riskiest test cases SHAP and LIME explain the risks as well: the model card says how far they
    agree with integrated gradients, and what each costs. They are in `medspark[explain]`."""


LEAST_NAMED = 5
"""Training cases of a level or code from which on its name may leave the hospital with the bundle."""


class Privacy(Closed):
    names_of_few: bool = False
    """Whether levels and codes of fewer than 5 training cases may be named in the bundle and in the report."""


class Scoring(Closed):
    """When a night's scores are no success, though they are there; and what stands beside each."""

    absent: Literal["stop", "warn"] = "stop"
    """A table or column that training read and tonight's source lacks, or of which no row says anything though by
    chance that could not be: nobody then has what it says."""
    rejected_at_most: float = Field(default=1.0, gt=0, le=1)
    """Share of the rows, excluded ones apart, that may have no score; beyond it, or where none has one, scoring
    publishes what there is and ends with exit code 6."""
    unusual_share: float | None = Field(default=None, gt=0, lt=1, exclude_if=unsaid)
    """Share of patients like those of training that may be flagged as unusual; 0.01 where the task says none."""
    coverage: float | None = Field(default=None, gt=0, lt=1, exclude_if=unsaid)
    """Share of the patients with the outcome, and of those without, whose conformal band leaves open what came true;
    0.9 where the task says none."""


class TaskBase(Closed):
    """What every task says, whatever its source: what it is for, the split, the network, the thresholds."""

    task: Name
    """The name of the task: the folder of its tables in a store."""
    title: str
    """A heading for people."""
    intended_use: str | None = None
    """What the risk is for."""
    not_for: str | None = None
    """What it must not be used for."""
    card: Card | None = Field(default=None, exclude_if=unsaid)
    """What only a person can say for the model card."""
    split: Split = Split()
    network: Network = Network()
    training: Training = Training()
    risk_bands: dict[str, Annotated[float, Field(gt=0, lt=1)]] = Field(default_factory=dict)
    """The name of each band and the probability it starts at; below the lowest the band is `low`."""
    gates: Gates = Gates()
    scoring: Scoring = Scoring()
    report: Report = Report()
    privacy: Privacy = Privacy()
    monitoring: Monitoring | None = Field(default=None, exclude_if=unsaid)
    updating: Updating | None = Field(default=None, exclude_if=unsaid)
    """How `medspark update` learns, and what it must not make worse; the defaults where the task says none."""
    tuning: Tuning | None = Field(default=None, exclude_if=unsaid)
    """Which settings `medspark tune` tries, and how many; the defaults where the task says none."""
