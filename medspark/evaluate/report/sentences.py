"""The report's prose: the summary, and what the task file says in a clinician's words."""

from collections.abc import Iterator, Mapping
from typing import Any

from medspark.evaluate.comparison import compared, nearer_by_brier, verdict
from medspark.evaluate.report.data import ReportData
from medspark.evaluate.report.evaluated import caution
from medspark.evaluate.report.fairness import worse
from medspark.evaluate.report.format import NONE, count, interval, number, percent, words
from medspark.task.event_task import EventTask
from medspark.task.outcome import EventOutcome, Outcome, Targets
from medspark.task.table_task import TableTask
from medspark.task.tasks import Task

Fact = tuple[str, str | list[str]]


def summary(data: ReportData) -> list[str]:
    """Plain sentences, each true of these numbers, that a reader without statistics can use."""
    test = data.metrics["test"]
    return [
        *_what(data, test),
        *_use(data.task),
        *flagging(test["thresholds"]),
        *calibrated(test["metrics"]),
        *ranked(test["metrics"]),
        *_against_baselines(data.metrics),
        *_subgroup_range(data.metrics["subgroups"]),
        *worse(data.metrics),
        caution(data),
    ]


def _what(data: ReportData, test: Mapping[str, Any]) -> Iterator[str]:
    trained = data.counts.get("splits", {}).get("train", {}).get("cases")
    training = f"learned from {count(trained)} cases and was " if trained else "was "
    targets = data.task.outcome.targets
    of_headline = "" if targets.kind == "binary" else f" The figures below are of {targets.names[targets.headline]}."
    yield (
        f"For each case the model estimates the risk of: {data.task.outcome.name}{_asked(targets)}.{of_headline} It "
        f"{training}tested on {count(test['cases'])} cases of {count(test['subjects'])} patients"
        f"{'.' if data.evaluated is not None else ' it had never seen.'}"
    )
    if test["prevalence"] is not None:
        yield (
            f"{percent(test['prevalence'])} of the test cases had the outcome; the model's mean risk was "
            f"{percent(test['mean_probability'])}."
        )


def _use(task: Task) -> Iterator[str]:
    """What it is for, and what not, where the task file says so."""
    uses = {"Meant for": task.intended_use, "Not for": task.not_for}
    told = [f"{name}: {_ended(text)}" for name, text in uses.items() if text]
    if told:
        yield " ".join(told)


def _ended(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _asked(targets: Targets) -> str:
    if targets.kind == "binary":
        return ""
    how = {"classes": "one of", "several": "each of", "horizons": "within each of"}[targets.kind]
    return f" ({how} {', '.join(targets.names)})"


def ranked(metrics: Mapping[str, Any]) -> Iterator[str]:
    """How well the model tells cases with the outcome from those without."""
    auroc = metrics["auroc"]
    if auroc["value"] is None:
        yield "The test cases have one outcome only, so how well the model ranks them can't be said."
        return
    yield (
        "Of one case with the outcome and one without, the model gives the higher risk to the right one in "
        f"{100 * auroc['value']:.0f} of 100 pairs (AUROC {number(auroc['value'])}, 95 % interval "
        f"{interval(auroc)}); 50 is chance, 100 perfect."
    )


def calibrated(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Whether the risks come true as often as they say."""
    slope, level = metrics["calibration_slope"], metrics["calibration_intercept"]
    if slope["low"] is None or level["low"] is None:
        return
    faults = {
        "too high on average": level["high"] < 0,
        "too low on average": level["low"] > 0,
        "too extreme (high ones too high, low ones too low)": slope["high"] < 1,
        "too cautious (high ones too low, low ones too high)": slope["low"] > 1,
    }
    found = [fault for fault, present in faults.items() if present]
    how = f"are {' and '.join(found)}" if found else "came true about as often as they said"
    yield (
        f"The risks {how} (calibration slope {number(slope['value'], 2)}, ideal 1; intercept "
        f"{number(level['value'], 2)}, ideal 0)."
    )


def _against_baselines(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Of each simpler model whether it or the network is better on the same patients; those that cannot be told apart
    from the network in one sentence."""
    baselines, alike = metrics["baselines"], []
    for name, text in compared(baselines).items():
        value = number(baselines[name]["metrics"]["auroc"]["value"])
        difference = baselines[name]["difference"]
        if verdict(difference) == "unclear" and nearer_by_brier(difference) is None:
            alike.append(f"{'its teacher' if name == 'teacher' else words(name).lower()} (AUROC {value})")
            continue
        who = "The teacher, which the network was distilled from," if name == "teacher" else ""
        yield f"{who or f'A simpler model, {words(name).lower()},'} reached an AUROC of {value}: {text}."
    if alike:
        yield f"Whether it ranks these patients better than {' or '.join(alike)} cannot be told."


def comparisons(data: ReportData) -> list[str]:
    """Each comparison with another model on the same patients, with its interval."""
    return [f"{text[:1].upper()}{text[1:]}." for text in compared(data.metrics["baselines"]).values()]


def flagging(thresholds: list[dict[str, Any]]) -> Iterator[str]:
    """What flagging from the start of the highest band does."""
    shown = [row for row in thresholds[1:] if row["ppv"] is not None and row["sensitivity"] is not None]
    if not shown:
        return
    top = shown[-1]
    yield (
        f"Flagging every risk of {percent(top['from'], 0)} or more (band “{top['band']}”) marks "
        f"{percent(top['flagged_share'])} of the cases. Of 100 marked cases {100 * top['ppv']:.0f} had the "
        f"outcome; of 100 cases with the outcome {100 * top['sensitivity']:.0f} are marked."
    )


def _subgroup_range(subgroups: list[dict[str, Any]]) -> Iterator[str]:
    known = [row for row in subgroups if row["metrics"] and row["metrics"]["auroc"]["value"] is not None]
    if len(known) < 2:
        return
    ordered = sorted(known, key=lambda row: float(row["metrics"]["auroc"]["value"]))
    low, high = (
        f"{number(row['metrics']['auroc']['value'])} ({words(row['column']).lower()}: {row['level']})"
        for row in (ordered[0], ordered[-1])
    )
    yield f"Across the subgroups examined, the AUROC runs from {low} to {high}."


def keys(data: ReportData) -> list[tuple[str, str, str]]:
    """The few numbers at the top: name, value and a word on its spread."""
    test = data.metrics["test"]
    hints = {
        "auroc": "ranking: 0.5 is chance, 1 perfect",
        "auprc": f"precision over all recalls: {number(test['prevalence'])} is chance",
        "brier": "error of the risks: 0 is perfect",
        "calibration_slope": "whether risks are too extreme: 1 is ideal",
    }
    shown = [(words(name), test["metrics"][name], hint) for name, hint in hints.items()]
    return [
        ("Test cases", count(test["cases"]), f"{count(test['subjects'])} patients"),
        ("With the outcome", percent(test["prevalence"]), f"{count(test['positives'])} cases"),
        *((name, number(metric["value"]), f"{interval(metric)}; {hint}") for name, metric, hint in shown),
    ]


# ---------------------------------------------------------------- the task in words


def use(task: Task) -> list[Fact]:
    """What the model is for, and what not."""
    return [
        ("Intended use", task.intended_use or "Not stated in the task file."),
        ("Not for", task.not_for or "Not stated in the task file."),
        ("Reading a risk", "A probability supports a person's decision; it does not make one."),
    ]


def prediction(task: Task) -> list[Fact]:
    """Source, population, outcome, moment and division of the data."""
    split = task.split
    shares = {"training": split.train, "validation": split.valid, "test": split.test}
    divided = ", ".join(f"{percent(share, 0)} {name}" for name, share in shares.items())
    how = f"{divided} (hash of the patient's id, seed {split.seed})"
    if split.subjects is not None:
        name = split.subjects.path.rstrip("/").rsplit("/", 1)[-1]
        how = f"as {name} says (SHA-256 {str(split.subjects.sha256)[:12]}); who is not in it is on no side"
    return [
        *(_of_events(task) if isinstance(task, EventTask) else _of_table(task)),
        ("Split", f"By patient, never by case: {how}."),
        ("Risk bands", _bands(task) or "None."),
    ]


def _of_table(task: TableTask) -> list[Fact]:
    source = task.source
    moment = f"At {source.time}." if source.time else "When the row is complete: the source has no time column."
    return [
        ("Source", f"{source.name} ({source.format}), one row per {source.case}"),
        ("Patients", f"Told apart by {source.subject}; one patient may have several cases."),
        ("Population", "Every case of the source that passes the cleaning rules and meets no exclusion."),
        ("Exclusions", [f"{rule.name}, because {rule.because}" for rule in task.exclude] or "None."),
        ("Outcome", [task.outcome.name, *_rules(task.outcome)]),
        ("Moment of prediction", moment),
    ]


def _rules(outcome: Outcome) -> Iterator[str]:
    """What is predicted, by the columns of a row."""
    conditions = outcome.conditions()
    if outcome.horizons_days:
        yield f"Rule: {conditions['event']}, within {_horizons(outcome.horizons_days)} by {outcome.days}"
    elif outcome.when is not None:
        yield f"Rule: {outcome.when}"
    else:
        yield "One of these classes, the first that holds:" if outcome.classes else "Each by itself:"
        yield from (f"{place.partition('.')[2]}: {condition}" for place, condition in conditions.items())


def _horizons(days: tuple[float, ...]) -> str:
    return f"{', '.join(f'{day:g}' for day in days)} days"


def _events(outcome: EventOutcome) -> Iterator[str]:
    """What is predicted, by the events of a history."""
    end = "to the end of what is known" if outcome.to_days is None else f"to {outcome.to_days:g} days"
    if outcome.horizons_days:
        end = f"to {_horizons(outcome.horizons_days)}"
    if outcome.label is not None:
        yield f"As the labels say: {outcome.label}."
        return
    if outcome.event is not None:
        yield f"An event of {outcome.event} from {outcome.from_days:g} {end} after."
        return
    which = "The first of these, or" if outcome.classes else "An event of each by itself"
    yield f"{which}{f' {outcome.otherwise}' if outcome.classes else ''}, from {outcome.from_days:g} {end} after:"
    yield from (f"{place.partition('.')[2]}: {concept}" for place, concept in outcome.concepts().items())


def _of_events(task: EventTask) -> list[Fact]:
    population, outcome = task.population, task.outcome
    if population.index is not None:
        which = "the first" if population.index.take == "first" else "every"
        who = f"Patients with {which} event of: {' or '.join(population.index.event)}."
        moment = f"{population.predict_after_hours:g} hours after that event." if population.predict_after_hours else ""
        moment = moment or "At that event."
    elif population.labels is not None:
        name = population.labels.path.rstrip("/").rsplit("/", 1)[-1]
        who = f"Patients with a label in {name} (SHA-256 {str(population.labels.sha256)[:12]}); scored: everybody."
        moment = "At each label's time; scored: at one time."
    else:
        who, moment = "Everybody with an event by then.", f"At {', '.join(population.snapshot.at)}."  # type: ignore[union-attr]
    limits = {
        "years old at least": population.age_at_least,
        "years old at most": population.age_at_most,
        "days under observation before": population.history_days,
        "days without another index event before": population.washout_days,
    }
    required = [f"{value:g} {what}" for what, value in limits.items() if value is not None]
    required += [f"had {rule.had}{_within(rule.within_days)}, because {rule.because}" for rule in population.require]
    excluded = [f"{rule.name}, because {rule.because}" for rule in population.exclude]
    edge = "counts as history" if task.time.at_prediction_time == "included" else "is no history"
    return [
        ("Source", f"Events by the mapping {task.source.mapping} ({task.source.format})"),
        ("Population", who),
        ("Required", required or "Nothing."),
        ("Exclusions", excluded or "None."),
        ("Outcome", [outcome.name, *_events(outcome)]),
        ("Follow-up", _follow_up(outcome)),
        ("Moment of prediction", f"{moment} An event at that very time {edge}; one not yet known then never does."),
    ]


def _follow_up(outcome: EventOutcome) -> str:
    if outcome.label is not None:
        return "As whoever made the labels saw to it."
    return f"{words(outcome.follow_up)}; a death in the time at risk: {words(outcome.death).lower()}."


def _within(days: float | None) -> str:
    return "" if days is None else f" in the {days:g} days before"


def _bands(task: Task) -> list[str]:
    ordered = sorted(task.risk_bands.items(), key=lambda band: band[1])
    return [f"{name}: from {percent(start, 0)}" for name, start in ordered]


def model(data: ReportData) -> list[Fact]:
    """Network, training and calibration settings, as the task file and the engine have them."""
    settings = [
        (words(key), _setting(value))
        for section in (data.task.network, data.task.training)
        for key, value in section.model_dump(mode="json", exclude_none=True).items()
    ]
    difference = data.engine.get("litert_max_difference")
    engine = f"LiteRT, at most {difference or 0:.1e} from Keras in a logit"
    if difference is None:
        because = data.engine.get("why_tensorflow")
        engine = "TensorFlow" + (f", as LiteRT does not serve the network: {because}" if because else "")
    facts: list[Fact] = [("Parameters", count(data.engine.get("parameters"))), ("Scoring engine", engine)]
    return [*settings, *facts, *_distilled(data.engine)]


def _distilled(engine: Mapping[str, Any]) -> Iterator[Fact]:
    """What a student costs, and what its teacher would."""
    teacher = engine.get("teacher")
    if teacher is None:
        return
    yield "Measured on", f"{engine['rows_measured']:,} rows, by one thread of LiteRT, when the bundle was made"
    for name, one in (("Student, which is served", engine), ("Teacher", teacher)):
        speed = one["rows_per_second"]
        served = "not served by LiteRT" if speed is None else f"{speed:,.0f} rows a second"
        yield name, f"{count(one['parameters'])} weights, {served}"


def _setting(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_setting, value))
    if isinstance(value, dict):
        return ", ".join(f"{key.replace('_', ' ')} {_setting(one)}" for key, one in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value).replace("_", " ")


def performance_note(data: ReportData) -> str:
    """Who was measured and what the intervals mean."""
    test = data.metrics["test"]
    resamples = data.metrics.get("intervals", {}).get("resamples", NONE)
    return (
        f"{count(test['cases'])} cases of {count(test['subjects'])} patients, {count(test['positives'])} "
        f"with the outcome. In small print: 95 % intervals from {resamples} resamples of patients "
        "(percentile bootstrap, all cases of a patient together)."
    )
