import base64
import re

import pytest
from support.browser import absent, open_browser, size, violations

from medspark.evaluate.report.page import SECTIONS, write_report

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def browser():
    if (why := absent()) is not None:
        pytest.skip(why)
    pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    opened = open_browser()
    yield opened
    opened.quit()


@pytest.fixture(scope="module")
def page(browser, report_data, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(report_data, path)
    browser.get(path.as_uri())
    return browser


def test_the_page_asks_for_nothing_and_the_console_is_silent(page):
    assert page.execute_script("return performance.getEntriesByType('resource').map(e => e.name)") == []
    asked = [entry["message"] for entry in page.get_log("performance") if "requestWillBeSent" in entry["message"]]
    urls = [url for message in asked for url in re.findall(r'"url":"(.*?)"', message)]
    assert urls
    assert all(url.startswith(("file:", "data:")) for url in urls)
    assert page.get_log("browser") == []


def test_the_policy_refuses_a_request_that_something_would_add(page):
    refused = page.execute_async_script(
        "const done = arguments[0];"
        "document.addEventListener('securitypolicyviolation', e => done(e.effectiveDirective), {once: true});"
        "const image = new Image(); image.src = 'https://example.invalid/x.png';"
    )
    assert refused == "img-src"


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_the_page_does_not_scroll_sideways(page, width):
    size(page, width)
    assert page.execute_script("return document.scrollingElement.scrollWidth") <= width


def test_wide_tables_scroll_inside_their_box_on_a_phone(page):
    size(page, 390)
    wide = page.execute_script(
        "return [...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth)"
        ".map(e => getComputedStyle(e).overflowX)"
    )
    assert set(wide) == {"auto"}


def test_every_section_shows_its_heading(page):
    size(page, 1280)
    for anchor, _ in SECTIONS:
        heading = page.find_element("css selector", f"#{anchor} h2")
        assert heading.is_displayed()
        assert heading.text


def test_plots_take_the_colours_of_the_page(page):
    strokes = page.execute_script(
        "return [...document.querySelectorAll('figure svg path')].map(e => getComputedStyle(e).stroke)"
    )
    assert "rgb(11, 92, 173)" in strokes


def test_it_prints_on_several_pages_and_nothing_is_cut_off(page):
    size(page, 680, media="print")  # the width of A4 between the margins
    assert page.execute_script("return document.scrollingElement.scrollWidth") <= 680
    assert page.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    size(page, 1280)
    printed = page.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    pdf = base64.b64decode(printed["data"])
    assert pdf.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) > 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_against_level_a_or_aa(page, width, scheme):
    size(page, width, scheme=scheme)
    assert violations(page) == []


def test_axe_finds_what_is_wrong_with_a_page(page, browser, tmp_path):
    bad = tmp_path / "bad.html"
    bad.write_text('<!doctype html><html><head><title>x</title></head><body><img src="data:,"></body></html>')
    address = browser.current_url
    browser.get(bad.as_uri())
    found = {one["rule"] for one in violations(browser)}
    browser.get(address)
    assert found == {"html-has-lang", "image-alt"}


def test_no_text_is_cut_off_on_a_phone_and_every_plot_is_drawn(page):
    size(page, 390)
    plots = page.find_elements("css selector", "figure svg")
    assert len(plots) == 6
    assert all(plot.size["width"] > 250 and plot.size["height"] > 150 for plot in plots)
