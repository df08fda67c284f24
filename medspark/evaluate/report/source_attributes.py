"""The 31 source attributes of a predictive decision support intervention, and what answers each.

Of the US Health IT certification criterion, 45 CFR 170.315(b)(11)(iv)(B), numbered as there (shortened).
"""

from typing import Any, Final

from medspark.evaluate.report.card import Answer, Item, answers, coverage
from medspark.evaluate.report.data import ReportData
from medspark.evaluate.report.facts import (
    about_subgroups,
    about_updating,
    flow_in_words,
    intended_use,
    limits,
    population,
    results,
    source,
    who_they_are,
)
from medspark.evaluate.report.format import moment

ASKED_FOR: Final = {
    "race": ("race",),
    "ethnicity": ("ethnic",),
    "language": ("language",),
    "sexual orientation": ("orientation",),
    "gender identity": ("gender",),
    "sex": ("sex",),
    "date of birth or age": ("birth", "age", "dob"),
    "social determinants": ("housing", "income", "insurance", "payer", "education", "employment", "deprivation"),
    "health status assessments": ("assessment", "frailty", "disability", "functional"),
}
"""Variables that the rule asks of, and parts of names by which a predictor is taken for one."""

NOT_YET: Final = "Not done when this card was made; medspark evaluate does it on another source."


def _output(data: ReportData) -> str:
    return f"For each case the probability of: {data.task.outcome.name}, between 0 and 1."


def variables_used(data: ReportData) -> str:
    """Which of the variables that the rule asks of are predictors, as far as names tell."""
    names = [str(row["name"]).lower() for row in data.features]
    words = {name: set(name.replace("_", " ").replace("-", " ").split()) for name in names}

    def matches(name: str, parts: tuple[str, ...]) -> bool:
        return any(any(word.startswith(part) for word in words[name]) for part in parts)

    used = {variable: [name for name in names if matches(name, parts)] for variable, parts in ASKED_FOR.items()}
    there = [f"{variable} ({', '.join(found)})" for variable, found in used.items() if found]
    lacking = [variable for variable, found in used.items() if not found]
    said = f"By their names, predictors are: {', '.join(there)}." if there else "By their names, no predictor is one."
    return f"{said} Not used: {', '.join(lacking)}." if lacking else said


def _elsewhere(data: ReportData) -> str:
    if data.evaluated is None:
        return NOT_YET
    return f"Evaluated on {source(data)} Done {moment(data.created_at)}."


def _party(data: ReportData) -> str:
    return NOT_YET if data.evaluated is None else "Whoever ran the evaluation, by the receipt of the run."


def _process(data: ReportData) -> str:
    if data.evaluated is None:
        return NOT_YET
    how = f"The bundle {data.evaluated.bundle_id} cleaned, selected and scored the cases"
    return f"{how} by the rules of the task shown here. {flow_in_words(data)}"


def _here(data: ReportData) -> str:
    """The figures of the bundle's own test split, whatever the page is of."""
    if data.evaluated is None:
        return results(data)
    auroc = data.evaluated.then["metrics"]["auroc"]["value"]
    return f"AUROC {auroc:.3f} on the bundle's own test split." if auroc is not None else "Not known."


def _validity_elsewhere(data: ReportData) -> str:
    return NOT_YET if data.evaluated is None else results(data)


def _fairness_elsewhere(data: ReportData) -> str | None:
    return NOT_YET if data.evaluated is None else about_subgroups(data)


def _fairness_here(data: ReportData) -> str | None:
    return about_subgroups(data) if data.evaluated is None else "It is in the bundle’s own card."


def _not_for(data: ReportData) -> str | None:
    return data.task.not_for


SUBGROUPS: Final = "report.subgroups"
OUT_OF_SCOPE: Final = "Cautioned out-of-scope use"
DEVELOPMENT: Final = "Development and input features"
FAIRNESS: Final = "Fairness in development"

ITEMS: Final = (
    Item("1.i", "Details and output", "developer and contact", keys=("developer", "contact")),
    Item("1.ii", "Details and output", "funding of the technical implementation", keys=("funding",)),
    Item("1.iii", "Details and output", "value produced as output", _output),
    Item("1.iv", "Details and output", "kind of output", lambda _: "A prediction."),
    Item("2.i", "Purpose", "intended use", intended_use, where="intended_use"),
    Item("2.ii", "Purpose", "intended patients", population),
    Item("2.iii", "Purpose", "intended users", keys=("users",)),
    Item("2.iv", "Purpose", "role in decisions", keys=("role",)),
    Item(
        "3.i",
        OUT_OF_SCOPE,
        "tasks, situations, populations",
        _not_for,
        instead=("limits",),
        where="not_for",
    ),
    Item("3.ii", OUT_OF_SCOPE, "known risks and limitations", limits, more=("limits",)),
    Item("4.i", DEVELOPMENT, "inclusion and exclusion", population),
    Item(
        "4.ii",
        DEVELOPMENT,
        "use of race, ethnicity, sex, birth and others",
        variables_used,
    ),
    Item("4.iii", DEVELOPMENT, "demographic representativeness", who_they_are, instead=("representative",)),
    Item(
        "4.iv",
        DEVELOPMENT,
        "relevance to the setting",
        keys=("setting", "representative"),
    ),
    Item(
        "5.i",
        FAIRNESS,
        "approach to a fair output",
        about_subgroups,
        instead=("fairness",),
        where=SUBGROUPS,
    ),
    Item(
        "5.ii",
        FAIRNESS,
        "how bias is managed",
        about_subgroups,
        instead=("fairness",),
        where=SUBGROUPS,
    ),
    Item("6.i", "External validation", "source and setting", _elsewhere),
    Item("6.ii", "External validation", "who did it", _party),
    Item("6.iii", "External validation", "representativeness", _fairness_elsewhere, where=SUBGROUPS),
    Item("6.iv", "External validation", "process", _process),
    Item("7.i", "Performance", "validity in test data of the same source", _here),
    Item("7.ii", "Performance", "fairness in test data of the same source", _fairness_here, where=SUBGROUPS),
    Item("7.iii", "Performance", "validity in other data", _validity_elsewhere),
    Item("7.iv", "Performance", "fairness in other data", _fairness_elsewhere, where=SUBGROUPS),
    Item("7.v", "Performance", "evaluations of what use did to outcomes", keys=("evidence",)),
    Item("8.i", "Ongoing maintenance", "how validity is monitored, and how often", keys=("monitoring",)),
    Item("8.ii", "Ongoing maintenance", "validity in local data", results),
    Item("8.iii", "Ongoing maintenance", "how fairness is monitored, and how often", keys=("monitoring",)),
    Item("8.iv", "Ongoing maintenance", "fairness in local data", about_subgroups, where=SUBGROUPS),
    Item("9.i", "Updates", "how, and how often", about_updating, keys=("updating",)),
    Item("9.ii", "Updates", "how often performance is corrected", keys=("updating",)),
)


def source_attributes(data: ReportData) -> list[Answer]:
    """What answers each attribute."""
    return answers(ITEMS, data)


def attributes_coverage(found: list[Answer]) -> dict[str, Any]:
    """How many of the 31 are answered."""
    return coverage(found)
