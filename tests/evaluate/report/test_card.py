"""The model card: both lists item by item, what is open and who must fill it, and the XML of the public schema."""

import dataclasses
import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from support.places import ROOT

from medspark.evaluate.evaluation import evaluate
from medspark.evaluate.report.card import Item, answers, coverage, wanted
from medspark.evaluate.report.chai import NAMESPACE, card_xml
from medspark.evaluate.report.data import Evaluated
from medspark.evaluate.report.model_card import card_files, model_card
from medspark.evaluate.report.page import render_report
from medspark.evaluate.report.source_attributes import ITEMS as ATTRIBUTES
from medspark.evaluate.report.source_attributes import attributes_coverage, source_attributes, variables_used
from medspark.evaluate.report.tripod import ITEMS as TRIPOD
from medspark.evaluate.report.tripod import tripod, tripod_coverage
from medspark.task.card import Card
from medspark.task.load import load_task

SCHEMA = ROOT / "tests" / "support" / "chai" / "schema-v0.2.xsd"


@pytest.fixture(scope="module")
def shipped(report_data, test_set, monkeypatch_module):
    """The shipped synthetic task with the facts of a run."""
    monkeypatch_module.setenv("MEDSPARK_SYNTH", "hospital")
    task = load_task(ROOT / "conf" / "tasks" / "readmission-synthetic.yaml")
    rng = np.random.default_rng(0)
    levels = {"age_band": rng.choice(["under 50", "50 to 69"], 3000), "admission_type": rng.choice(["a", "b"], 3000)}
    few = task.report.model_copy(update={"bootstrap": 20})
    metrics = evaluate(test_set.assign(**levels), task.model_copy(update={"report": few}), {})
    return dataclasses.replace(report_data, task=task, metrics=metrics, period=("2019-01", "2023-12"))


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def test_the_lists_have_tripods_27_items_in_52_parts_and_the_rules_31_attributes():
    numbers = [item.number for item in TRIPOD]
    assert len(numbers) == len(set(numbers)) == 52
    assert list(dict.fromkeys(int(re.match(r"\d+", number)[0]) for number in numbers)) == list(range(1, 28))
    attributes = [item.number for item in ATTRIBUTES]
    assert len(attributes) == len(set(attributes)) == 31
    sizes = {"1": 4, "2": 4, "3": 2, "4": 4, "5": 2, "6": 4, "7": 5, "8": 4, "9": 2}
    assert {part: sum(number.startswith(f"{part}.") for number in attributes) for part in sizes} == sizes


def test_on_the_shipped_task_nine_in_ten_of_both_lists_are_answered(shipped):
    items, attributes = tripod_coverage(tripod(shipped)), attributes_coverage(source_attributes(shipped))
    for name, found in (("TRIPOD+AI", items), ("source attributes", attributes)):
        print(f"{name}: {found['filled']} of {found['items']} answered, {found['by_run']} by the run alone")
    assert (items["items"], attributes["items"]) == (27, 31)
    assert items["share"] >= 0.9, items["open"]
    assert attributes["share"] >= 0.9, attributes["open"]


def test_without_a_persons_words_what_only_they_know_is_open_by_its_key(report_data):
    found = {answer.number: answer for answer in tripod(report_data)}
    assert (found["17"].by, found["17"].text, found["17"].open) == ("nobody", "", ("card.ethics",))
    assert wanted(found["17"]) == (
        "To be filled in by the team, in the task file: card.ethics (ethical approval and consent, or why none was "
        "needed)."
    )
    assert found["5b"].open == ("card.dates",)
    assert found["12c"].by == "run"
    page = render_report(report_data)
    assert page.count('class="open"') == sum(
        answer.by == "nobody" for answer in (*tripod(report_data), *source_attributes(report_data))
    )
    assert "card.funding (who paid for it, and what part they had in it)" in page


@pytest.mark.parametrize("key", sorted(Card.model_fields))
def test_each_key_of_the_card_shows_on_the_page_in_json_and_in_xml_or_in_one_of_them(report_data, key):
    words = ("blue heron",) if key in ("limits", "keywords") else "blue heron"
    card = Card(role="augments") if key == "role" else Card(**{key: words})
    data = dataclasses.replace(report_data, task=report_data.task.model_copy(update={"card": card}))
    said = "augments a decision" if key == "role" else "blue heron"
    assert said in render_report(data) or said in card_xml(data)
    assert ("augments" if key == "role" else said) in json.dumps(model_card(data)["use"]["said_by_the_team"])


def test_an_item_is_open_until_each_of_its_keys_is_there_and_the_run_has_spoken(report_data):
    silent = Item("1", "t", "a", lambda _: None, instead=("dates",), where="source.time")
    both = Item("2", "t", "a", lambda _: "The run.", keys=("users", "funding"))
    bare = {answer.number: answer for answer in answers((silent, both), report_data)}
    assert bare["1"].open == ("card.dates", "source.time")
    assert (bare["2"].text, bare["2"].open) == ("The run.", ("card.users", "card.funding"))
    card = Card(dates="2019", users="Nurses")
    told = answers((silent, both), with_card(report_data, card))
    assert [(one.text, one.by, one.open) for one in told] == [
        ("2019.", "task", ()),
        ("The run. Nurses.", "nobody", ("card.funding",)),
    ]
    assert coverage(told) == {"items": 2, "filled": 1, "by_run": 0, "share": 0.5, "open": ["2"]}


def with_card(data, card):
    return dataclasses.replace(data, task=data.task.model_copy(update={"card": card}))


def test_variables_are_told_by_whole_words_of_the_predictors_names(report_data):
    rows = [{"name": name} for name in ("age", "length_of_stay", "Sex at birth", "dosage")]
    said = variables_used(dataclasses.replace(report_data, features=rows))
    assert "sex (sex at birth)" in said
    assert "date of birth or age (age, sex at birth)" in said
    assert "dosage" not in said
    assert said.endswith("health status assessments.")


# ---------------------------------------------------------------- json and xml


def test_card_json_is_json_without_nan_and_says_what_the_page_says(report_data):
    card = json.loads(card_files(report_data)["card.json"])
    assert card["kind"] == "training"
    assert card["performance"]["test"]["metrics"]["auroc"] == report_data.metrics["test"]["metrics"]["auroc"]
    assert "curves" not in card["performance"]["test"]
    assert len(card["tripod_ai"]["answers"]) == 52
    assert card["tripod_ai"]["open"] == [
        one["item"] for one in card["tripod_ai"]["answers"] if one["answered_by"] == "nobody"
    ]
    assert card["chosen"] == {
        "settings": "One setting was trained, the task file’s; none was searched for. The test split was looked at "
        "once, last.",
        "members": 8,
        "baselines": ["logistic_regression"],
        "gates": [],
    }
    assert card["updating"]["parent"] is None


def test_how_far_other_methods_agree_is_on_the_page_and_in_json(report_data):
    alike = {"rank_correlation": 0.912, "top_overlap": 0.84, "first_same": 0.75}
    methods = [
        {"method": "gradients", "cases_a_second": 5432.1},
        {"method": "shap", "cases_a_second": 21.4, **alike},
        {"method": "lime", "absent": "lime was not installed"},
    ]
    age = {"name": "age", "value": 0.4, "low": 0.3, "high": 0.5, "auroc_lost": 0.1}
    agreement = {"cases": 40, "methods": methods}
    drivers = {"cases": 3000, "features": [age], "curves": [], "codes": [], "agreement": agreement}
    data = dataclasses.replace(report_data, metrics={**report_data.metrics, "drivers": drivers})
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", render_report(data)))
    assert "Integrated gradients beside other methods, on the 40 riskiest of these cases" in page
    assert "Integrated gradients – – – 5,432 SHAP 0.91 84 % 75 % 21 LIME, not asked: lime was not installed" in page
    assert json.loads(card_files(data)["card.json"])["explanations"]["agreement"]["methods"] == methods
    assert json.loads(card_files(report_data)["card.json"])["explanations"] is None


@pytest.mark.parametrize("said", ["nothing", "everything"])
def test_card_xml_is_valid_by_the_public_schema(report_data, shipped, said):
    xmlschema = pytest.importorskip("xmlschema")
    data = shipped if said == "everything" else report_data
    schema = xmlschema.XMLSchema(str(SCHEMA), allow="local")
    text = card_xml(data)
    schema.validate(ET.fromstring(text))
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        schema.validate(ET.fromstring(text.replace("ModelName>", "Name>")))


def test_card_xml_holds_whatever_a_task_file_may_say(report_data):
    text = card_xml(with_card(report_data, Card(funding="a < b & \x0b c ]]>", users="Ärzte")))
    root = ET.fromstring(text)
    assert root.tag == f"{{{NAMESPACE}}}AppliedModelCard"
    assert root.find(".//{*}FundingSource").text == "a < b & c ]]>."
    assert root.find(".//{*}PrimaryIntendedUsers").text == "Ärzte."
    assert root.find(".//{*}ModelDeveloper").text == "Not stated: card.developer, who made the model."
    results = [json.loads(one.text) for one in root.iter(f"{{{NAMESPACE}}}ValueJson")]
    assert results[0]["estimate"] == report_data.metrics["test"]["metrics"]["auroc"]["value"]


# ---------------------------------------------------------------- fairness and evaluation


def test_a_planted_failure_at_one_ward_shows_on_the_page_in_json_and_in_xml(task, test_set, report_data):
    ward = np.where(np.arange(3000) % 2, "surgery", "medicine")
    blind = test_set["probability"].to_numpy().copy()
    blind[ward == "surgery"] = np.random.default_rng(0).permutation(blind[ward == "surgery"])
    metrics = evaluate(test_set.assign(ward=ward, probability=blind), task, {})
    data = dataclasses.replace(report_data, metrics=metrics)
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", render_report(data)))
    assert "Ward: surgery is ranked worse than all other cases" in page
    assert "It ranks ward surgery worse than all others." in page
    files = card_files(data)
    assert [one["level"] for one in json.loads(files["card.json"])["fairness"]["found"] if one["worse"]] == ["surgery"]
    assert "Ward: surgery is ranked worse" in files["card.xml"]


def test_an_evaluation_says_of_which_bundle_on_which_data_when(report_data):
    then = {**report_data.metrics["test"], "prevalence": 0.4321}
    evaluated = Evaluated("0123456789abcdef", "2025-12-01", "ward-b.csv", False, 3, 40, then)
    data = dataclasses.replace(report_data, evaluated=evaluated)
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", render_report(data)))
    assert (
        "Evaluation on other data of the bundle 0123456789abcdef (task sepsis-ward, made 2025-12-01), done "
        "2026-01-02 03:04 UTC on ward-b.csv."
    ) in page
    assert "held out from training" not in page
    assert "Left out are cases: 40 of unknown outcome and &lt;11 without a score." in page
    assert "43.2" in page
    card = model_card(data)
    assert (card["kind"], card["bundle"]) == ("evaluation", "0123456789abcdef")
    external = next(one for one in card["source_attributes"]["answers"] if one["item"] == "6.i")
    assert external["answer"].startswith("Evaluated on ward-b.csv")
    same = dataclasses.replace(evaluated, same_source=True)
    assert "the figures flatter it" in render_report(dataclasses.replace(data, evaluated=same))
