"""Commands that take a bundle to a source: every night's."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from medspark.cli.options import (
    AsOf,
    BundleFolder,
    Expect,
    History,
    Json,
    Reader,
    Scored,
    ServedBy,
    Source,
    Who,
    absolute,
)
from medspark.cli.run_command import exit_code_of, run_bundle, run_command, terminal
from medspark.errors import TaskError

if TYPE_CHECKING:  # imported where Spark is needed, so that `medspark --help` is quick
    from medspark.stages.watch import Gate

By = Literal["gradients", "shap", "lime"]
To = Annotated[str, typer.Option(help="Where the scores go.")]
Tensors = Annotated[str | None, typer.Option(help="A store that `medspark encode` wrote: what it encoded is scored.")]
Writer = Annotated[
    Who, typer.Option(help="Who writes the scores. auto: the workers themselves where they can, else Spark.")
]
Explain = Annotated[
    str | None,
    typer.Option(metavar="top:K", help="Also say which K items raise or lower each risk most, in `explanations`."),
]
ExplainAbove = Annotated[
    str | None, typer.Option(metavar="BAND", help="Explain the scores of this risk band and those above it alone.")
]
ExplainShare = Annotated[
    float | None, typer.Option(metavar="SHARE", help="Explain this share of the scores alone, the largest risks.")
]
ExplainBy = Annotated[
    By, typer.Option(help="gradients: integrated ones, at the speed of scoring; shap, lime: by these libraries.")
]
StoreFolder = Annotated[str, typer.Argument(metavar="STORE", help="A store that `medspark score` wrote scores into.")]
Outcomes = Annotated[
    str | None, typer.Option(metavar="STORE", help="A store whose cases, made of later data, say what came true.")
]
RequireVerdict = Annotated[
    Literal["ok", "warn"] | None,
    typer.Option(help="Publish the scores only where the night is no worse than this; else exit code 4."),
]
Override = Annotated[
    str | None, typer.Option(metavar="REASON", help="Publish them whatever the verdict; the receipt keeps the reason.")
]


def score(
    bundle: Scored,
    to: To,
    source: Source = None,
    as_of: AsOf = None,
    history: History = None,
    tensors: Tensors = None,
    engine: ServedBy = "auto",
    reader: Reader = "auto",
    writer: Writer = "auto",
    explain: Explain = None,
    explain_above: ExplainAbove = None,
    explain_share: ExplainShare = None,
    explain_by: ExplainBy = "gradients",
    require_verdict: RequireVerdict = None,
    override: Override = None,
    expect: Expect = None,
    json_: Json = False,
) -> None:
    """Score a source with a bundle alone: one score for each eligible case, or a reason."""
    from medspark.bundles.champion import CHAMPION, champion_of
    from medspark.score.explain_options import read_ask
    from medspark.stages.open_bundle import open_bundle
    from medspark.stages.score import score_stage, score_tensors_stage

    with exit_code_of(terminal()):
        bundle = str(champion_of(absolute(to))) if bundle == CHAMPION else bundle
        ask = read_ask(explain, explain_above, explain_share, explain_by)
    place, past = (absolute(store) if store is not None else None for store in (tensors, history))
    asked: dict[str, Any] = {"source": source, "as_of": as_of, "history": past, "tensors": place, "engine": engine}
    asked |= {"reader": reader, "writer": writer, "require_verdict": require_verdict, "override": override}
    asked |= {"explain": ask._asdict()} if ask is not None else {}
    session = not is_left_to_workers(place, to, reader, writer) or ask is not None
    with run_bundle("score", bundle, to, json_, session=session, expect=expect, **asked) as run:
        _require_choice(place, any(given is not None for given in (source, as_of, past)))
        gate, opened = _gate(require_verdict, override), open_bundle(run, bundle, expect)
        if place is not None:
            score_tensors_stage(run, opened, place, engine, reader, writer, ask, gate)
        else:
            score_stage(run, opened, source, as_of, engine, writer, past, ask, gate, reader)
        run.say(f"scores: {run.receipt.outputs['scores']}")


def _gate(require_verdict: Literal["ok", "warn"] | None, override: str | None) -> "Gate | None":
    from medspark.stages.watch import Gate

    if override is not None and require_verdict is None:
        raise TaskError("--override", ["there is nothing to override: say --require-verdict ok or warn too"])
    if override is not None and not override.strip():
        raise TaskError("--override", ["expected the reason, which the receipt keeps, received none"])
    return None if require_verdict is None else Gate(require_verdict, override)


def _require_choice(tensors: str | None, moved: bool) -> None:
    """Refuse what was decided before."""
    if tensors is not None and moved:
        raise TaskError("--tensors", ["--source, --as-of and --history were decided when the tensors were encoded"])


def is_left_to_workers(tensors: str | None, store: str, reader: Who, writer: Who) -> bool:
    """Whether workers will read and write all of a scoring, as far as its addresses tell: on disks of this machine."""
    from medspark.store.files import is_elsewhere

    here = tensors is not None and not is_elsewhere(tensors) and not is_elsewhere(store)
    return here and "spark" not in (reader, writer)


def monitor(store: StoreFolder, outcomes: Outcomes = None, json_: Json = False) -> None:
    """Compare the newest scoring run of a store with training and with the runs before: ok, warn, or stop (exit 4)."""
    from medspark.stages.monitor import monitor_stage

    known = absolute(outcomes) if outcomes is not None else None
    with run_command("monitor", store, json_, outcomes=known) as run:
        monitor_stage(run, known)


def encode(
    bundle: BundleFolder,
    to: Annotated[str, typer.Option(help="The store that the tensors go to.")],
    source: Source = None,
    as_of: AsOf = None,
    history: History = None,
    expect: Expect = None,
    json_: Json = False,
) -> None:
    """Write a source's eligible cases as a bundle's tensors, for `medspark score --tensors`."""
    from medspark.stages.encode import encode_stage
    from medspark.stages.open_bundle import open_bundle

    past = absolute(history) if history is not None else None
    with run_bundle("encode", bundle, to, json_, source=source, as_of=as_of, history=past, expect=expect) as run:
        encode_stage(run, open_bundle(run, bundle, expect), source, as_of, past)
        run.say(f"tensors: {run.receipt.outputs['tensors']}")
