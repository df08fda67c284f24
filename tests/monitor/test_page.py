"""The store's page, as it is written and as a browser shows it."""

import base64
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlparse

import numpy as np
import pytest
from support.browser import absent, open_browser, size, violations
from support.nights import cases, tally, trained
from support.screenshots import take

from medspark.monitor.drift import SCORES, compare
from medspark.monitor.estimate import estimate
from medspark.monitor.night import Night
from medspark.monitor.outcomes import by_period
from medspark.monitor.page import Shown, drift_of_scores, mean_risk, render_site, scores_in
from medspark.monitor.verdict import findings_of, verdict_of
from medspark.monitor.worker.tally import packed
from medspark.task.monitoring import Monitoring

BUNDLE = "6d2deda624703d13"
NO_BUNDLE = "0123456789abcdef"


def night(at, seen=None, verdict="ok", bundle=BUNDLE, **more):
    day = f"2026-11-{at + 1:02}"
    kept = packed(seen) if seen is not None else None
    figures = {"rows_in": 820, "scored": 800, "rejected": {"quarantined: age: type": 20}, "published": True}
    return Night(
        version=f"{at:016x}", run_id=f"{day}-a", bundle_id=bundle, at=f"{day}T06:00:00+00:00", tally=kept,
        verdict=verdict, **figures | more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def shown():
    """Twelve nights of two bundles, one of them refused, and a newest one with a unit error."""
    statistics, reference = trained(3000)
    plan = reference.plan
    old = [night(at, bundle=NO_BUNDLE, verdict=None) for at in range(3)]
    usual = [night(at, tally(plan, statistics, cases(800, at))) for at in range(3, 11)]
    refused = night(11, tally(plan, statistics, cases(800, 11)), "stop", published=False)
    columns = cases(1000, 77)
    columns["creatinine"] = np.where(np.arange(1000) % 3 == 0, 88.42, 1) * columns["creatinine"]
    seen = tally(plan, statistics, columns)
    compared = compare(reference, seen, draws=199)
    settings = Monitoring(false_alarms=0.05)
    findings = findings_of(plan, compared, reference.tally(), seen, settings)
    hour = 3600 * 10**6
    ran = int(datetime(2026, 11, 13, 6, tzinfo=UTC).timestamp() * 1e6)
    seen = seen._replace(newest=ran, newest_event=ran - 31 * hour)
    newest = night(12, seen, "stop", override="<b>checked</b> by hand & signed")
    rng = np.random.default_rng(0)
    risk = rng.beta(1, 3, 400)
    label, subject = (rng.random(400) < risk).astype(int), np.arange(400)
    periods = by_period(np.repeat(["first run", "second run"], [390, 10]), label, risk, subject, resamples=20)
    estimates = estimate(scores_in(seen, plan), reference.recalibration)
    return Shown(
        title="Readmission within 30 days of discharge", at="2026-11-13T06:10:00+00:00",
        nights=[*old, *usual, refused, newest], plans={BUNDLE: plan},
        trained={BUNDLE: scores_in(reference.tally(), plan)}, titles={BUNDLE: "Readmission"}, night=newest,
        verdict=verdict_of(findings), findings=findings, compared=compared, estimates=estimates, periods=periods,
        estimated={"first run": estimates},
    )  # fmt: skip


def test_the_page_says_the_verdict_its_reasons_and_all_runs(shown):
    page = render_site(shown)
    assert '<span class="verdict verdict-stop">stop</span>' in page
    assert "creatinine: 34 % of its numbers are 88.42 times what they should be, like µmol/L in place of mg/dL" in page
    assert page.count("<svg") == 4
    assert "stop, refused" in page
    assert page.count("31\u00a0h before") == 1
    assert "no: it was made before monitoring" in page
    assert "fewer than 50 cases" in page


def test_the_drift_of_each_runs_scores_is_what_its_comparison_had(shown):
    of_scores = next(one for one in shown.compared if one.subject == SCORES and not one.column)
    assert drift_of_scores(shown.night, shown) == pytest.approx(of_scores.value)
    statistics, reference = trained(3000)
    older = cases(800, 5)
    older["age"] = older["age"] + 12
    drifted = night(13, tally(reference.plan, statistics, older))
    assert drift_of_scores(drifted, shown) > 0.25 > max(drift_of_scores(one, shown) for one in shown.nights[3:])
    assert drift_of_scores(shown.nights[0], shown) is None  # of a bundle from before
    assert "Drift of the scores (PSI)" in render_site(shown)


def test_what_somebody_wrote_is_text_on_the_page(shown):
    page = render_site(shown)
    assert "<b>checked" not in page
    assert "&lt;b&gt;checked&lt;/b&gt; by hand &amp; signed" in page


def test_the_same_data_give_the_same_page(shown):
    assert render_site(shown) == render_site(shown)


def test_a_first_night_without_anything_to_compare_with_has_a_page():
    alone = night(0, bundle=NO_BUNDLE, scored=0, rows_in=0)
    page = render_site(Shown("A task", "2026-11-01", [alone], {}, {}, {}, alone, "ok", []))
    assert "There is one run yet; a line needs two." in page
    assert "Nothing could be compared with training" in page
    assert mean_risk(alone, {}) is None


# ---------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def browser(shown, tmp_path_factory):
    if (why := absent()) is not None:
        pytest.skip(why)
    pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    opened = open_browser()
    path = tmp_path_factory.mktemp("store") / "site" / "index.html"
    path.parent.mkdir()
    path.write_text(render_site(shown), encoding="utf-8")
    opened.get(path.as_uri())
    yield opened
    opened.quit()


@pytest.mark.integration
@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_the_page_does_not_scroll_sideways_and_asks_for_nothing(browser, width):
    size(browser, width)
    assert browser.execute_script("return document.scrollingElement.scrollWidth") <= width
    assert browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)") == []
    assert browser.get_log("browser") == []


@pytest.mark.integration
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_have_enough_contrast_in_the_light_and_in_the_dark(browser, scheme):
    """WCAG 2.2, 1.4.3: 4.5 to 1 for text, of every element that has any."""
    size(browser, 1280, scheme=scheme)
    least = browser.execute_script(CONTRAST)
    assert least[0] >= 4.5, least


@pytest.mark.integration
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_no_violation_of_level_a_or_aa(browser, width, scheme):
    pytest.importorskip("axe_playwright_python", reason="axe-core is not installed")
    size(browser, width, scheme=scheme)
    assert violations(browser) == []


@pytest.mark.integration
def test_it_prints_on_a_page_and_its_lines_are_drawn(browser):
    size(browser, 1280)
    drawn = browser.execute_script(
        "return [...document.querySelectorAll('svg polyline')].map(e => e.getTotalLength() > 100)"
    )
    assert drawn == [True, True, True, True]
    size(browser, 680, media="print", scheme="dark")  # the width of A4 between the margins; paper is white
    assert browser.execute_script("return document.scrollingElement.scrollWidth") <= 680
    assert browser.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    size(browser, 1280)
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    assert base64.b64decode(printed["data"]).startswith(b"%PDF")


@pytest.mark.integration
def test_the_command_takes_pictures_of_it_named_by_its_store(browser, tmp_path):
    page = Path(unquote(urlparse(browser.current_url).path))
    written = take(browser, page, tmp_path)
    size(browser, 1280)
    assert len(written) == 9
    assert {path.suffix for path in written} == {".png", ".pdf"}
    assert all(path.name.startswith("store0-nights") for path in written)
    assert all(path.stat().st_size > 10_000 for path in written)


CONTRAST = """
const light = c => { const v = c / 255; return v <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4); };
const parse = text => text.match(/[\\d.]+/g).map(Number);
const luminance = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
const behind = e => {
  for (; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > 0) return c;
  }
  return [255, 255, 255];
};
let least = [99, ''];
for (const e of document.querySelectorAll('body *')) {
  if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
  const [a, b] = [luminance(parse(getComputedStyle(e).color)), luminance(behind(e))].sort((x, y) => y - x);
  const ratio = (a + 0.05) / (b + 0.05);
  if (ratio < least[0]) least = [ratio, e.tagName + ' ' + e.textContent.slice(0, 40)];
}
return least;
"""
