import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from medspark.encode.kinds.events import ValuesStatistics
from medspark.encode.kinds.table import CategoricalStatistics, NumericStatistics
from medspark.encode.statistics import Statistics
from medspark.evaluate.evaluation import evaluate
from medspark.evaluate.logistic import logit, sigmoid
from medspark.evaluate.metrics import performance
from medspark.evaluate.report.features import feature_rows
from medspark.evaluate.report.format import count, number, percent
from medspark.evaluate.report.page import SECTIONS, render_report, write_report
from medspark.train.folds import over_folds

VOID = {"meta", "link", "br", "path", "use"}


class Page(HTMLParser):
    """Ids, headings and attributes of a page, and whether its tags close in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.headings: list[int] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.attributes.append((tag, values))
        self.ids += [values["id"]] if "id" in values else []
        self.headings += [int(tag[1])] if re.fullmatch("h[1-6]", tag) else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def html(report_data):
    return render_report(report_data)


def test_every_section_is_there_and_linked(html):
    page = Page(html)
    assert page.open == []
    links = [values["href"] for tag, values in page.attributes if tag == "a"]
    assert links == [f"#{anchor}" for anchor, _ in SECTIONS]
    assert {anchor for anchor, _ in SECTIONS} <= set(page.ids)


def test_ids_are_unique_and_headings_in_order(html):
    page = Page(html)
    assert len(page.ids) == len(set(page.ids))
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(page.headings, page.headings[1:], strict=False))


def test_every_plot_has_a_name_and_every_header_a_scope(html):
    page = Page(html)
    plots = [values for tag, values in page.attributes if tag == "svg"]
    assert len(plots) == 6
    assert all(plot["role"] == "img" and plot["aria-label"] for plot in plots)
    assert all("scope" in values for tag, values in page.attributes if tag == "th")


def test_the_page_refers_to_nothing_outside(html):
    addresses = re.findall(r"""(?:src|href|url|@import)\s*[=(]\s*["']?([^"')\s>]*)""", html)
    assert addresses
    assert all(address.startswith("#") or address == "data:," for address in addresses)
    assert "<script" not in html


def test_text_of_the_task_is_escaped(html):
    assert "Sepsis on the ward &lt;within 48 hours&gt;" in html
    assert "<within" not in html
    assert "look &amp; measure" in html


@pytest.fixture(scope="module")
def beside_logistic_regression(report_data, test_set, task):
    """The page where the network says one thing and logistic regression what is true."""

    def page(probability):
        said = test_set.assign(probability=probability)
        metrics = evaluate(said, task, {"logistic_regression": test_set["probability"].to_numpy()})
        return render_report(dataclasses.replace(report_data, metrics=metrics))

    return page


def test_where_logistic_regression_ranks_better_the_summary_names_it(beside_logistic_regression, test_set):
    noise = np.random.default_rng(3).normal(scale=1.5, size=len(test_set))
    lost = beside_logistic_regression(sigmoid(logit(test_set["probability"].to_numpy()) + noise))
    assert "A simpler model, logistic regression, reached an AUROC of" in lost
    assert "logistic regression ranks these patients better than the network (AUROC 0." in lost


def test_where_its_risks_alone_are_better_the_summary_says_so(beside_logistic_regression, test_set):
    lost = beside_logistic_regression(sigmoid(2.5 * logit(test_set["probability"].to_numpy()) + 1))
    assert "but the risks of logistic regression are nearer to what happened (Brier score 0." in lost
    alike = beside_logistic_regression(test_set["probability"].to_numpy())
    assert "Whether it ranks these patients better than logistic regression (AUROC" in alike
    assert "nearer to what happened" not in alike


def test_what_is_strange_about_a_feature_stands_beside_it(report_data):
    varies = NumericStatistics(
        column="heart_rate", scaling="smooth", center=80, scale=9, knots=(80,) * 11 + (90, 100), impute=80,
        missing_indicator=False, mean=80, sd=9, missing_share=0, far=True,
    )  # fmt: skip
    labs = ValuesStatistics(
        column="labs", codes=("crp", "na"), counts=(9, 9), rare=0, missing_share=0, takes=("last",), scaling="smooth",
        center=((0,), (0,)), scale=((1,), (1,)), impute=((0,), (0,)), constant=(("na", "last"),),
        far=(("crp", "last"),),
    )  # fmt: skip
    same = CategoricalStatistics(column="sex", levels=("F",), counts=(9,), rare=0, missing_share=0, varies=False)
    of_all = Statistics(cases=9, numeric=(varies,), categorical=(same,), codes=(), values=(labs,))
    page = render_report(dataclasses.replace(report_data, features=feature_rows(of_all)))
    for remark in (
        "some values lie more than 30 spreads from the median",
        "0 cases with a rarer one; left out, the same in all training cases",
        "left out, the same in all training cases: last of na; some values lie more than 30 spreads from the median: "
        "last of crp",
    ):
        assert remark in page


def test_the_same_data_give_the_same_page(html, report_data):
    assert render_report(report_data) == html


def test_the_page_says_what_the_numbers_say(html, report_data):
    auroc = report_data.metrics["test"]["metrics"]["auroc"]
    text = re.sub(r"\s+", " ", re.sub(r"<svg.*?</svg>|<[^>]+>", " ", html, flags=re.DOTALL))
    assert f"AUROC {auroc['value']:.3f}, 95 % interval {auroc['low']:.3f} to {auroc['high']:.3f}" in text
    assert "− 500 day cases: they leave too early" in text
    assert "15,620 rows read: 15,500 kept as records, 100 set aside, 20 duplicates removed" in text
    assert "stays.csv (csv), one row per stay" in text
    assert "Cross-validation, 5 folds by patient" in text


def test_small_cells_do_not_show(html, report_data):
    counts = {**report_data.counts, "duplicates": 3}
    small = render_report(dataclasses.replace(report_data, counts=counts))
    assert "− &lt;11 duplicates removed" in small
    assert "~15,500" in small
    assert "15,620" in html
    assert "15,620" not in small.replace("~15,620", "")
    assert re.search(r"sex: not a level</th><td[^>]*>&lt;11<", html)
    assert "&lt;0.10\u00a0%" in html  # 3 of 10,500 missing


def metrics_of_one_outcome():
    return performance(np.zeros(3), np.array([0.1, 0.2, 0.3]))


def test_a_report_of_almost_nothing_is_still_a_report(task, test_set, report_data):
    metrics = evaluate(test_set.head(1), task.model_copy(update={"risk_bands": {}}), {})
    metrics["cross_validation"] = {"folds": 3, "metrics": over_folds([metrics_of_one_outcome()])}
    bare = dataclasses.replace(
        report_data,
        metrics=metrics,
        counts={},
        attrition=[],
        features=[],
        history=[],
        versions={},
        engine={},
        seconds={},
    )
    page = render_report(dataclasses.replace(bare, task=task.model_copy(update={"risk_bands": {}})))
    Page(page)
    assert "The test cases have one outcome only" in page
    assert "names no risk bands" in page
    assert "None" not in re.sub(r"<style.*?</style>", "", page, flags=re.DOTALL).replace("None.", "").replace(
        "None:", ""
    )


@pytest.mark.parametrize(
    ("shift", "words"),
    [(0.0, "came true about as often"), (0.8, "too high on average"), (-0.8, "too low on average")],
)
def test_the_summary_names_a_miscalibration(task, test_set, report_data, shift, words):
    p = test_set["probability"].to_numpy()
    shifted = 1 / (1 + np.exp(-(np.log(p / (1 - p)) + shift)))
    metrics = evaluate(test_set.assign(probability=shifted), task, {})
    assert words in render_report(dataclasses.replace(report_data, metrics=metrics))


def test_the_file_is_utf_8(tmp_path, report_data, html):
    write_report(report_data, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_bytes() == html.encode()
    assert len(html) < 300_000


def test_numbers_are_written_one_way():
    assert [count(value) for value in (None, 0, 10, 11, 12345, "<11", "~1230")] == [
        "–", "0", "<11", "11", "12,345", "<11", "~1,230",
    ]  # fmt: skip
    assert (percent(None), percent(0.1234), number(-0.0312), number(None)) == ("–", "12.3\u00a0%", "−0.031", "–")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_colours_have_a_contrast_of_4_5(html, scheme):
    roots = re.findall(r":root \{(.*?)\}", html, flags=re.DOTALL)
    colours = dict(re.findall(r"--(\w+): (#\w{6})", roots[("light", "dark").index(scheme)]))
    for name in ("ink", "muted", "one", "two", "three", "warn"):
        for paper in ("paper", "soft"):
            assert contrast(colours[name], colours[paper]) >= 4.5


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2.2."""
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
