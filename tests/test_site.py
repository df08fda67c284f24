"""The site and a profile in a browser: as an eye and a screen reader have them, on a desktop and on a phone."""

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config
from support.browser import absent, open_browser, size, violations
from support.places import ROOT

from medspark.draft.page import render_profile
from medspark.draft.profile import make_profile
from medspark.draft.sample import read_sample

pytestmark = pytest.mark.integration
PAGES = ("index", "first-steps", "tables", "commands", "reference/commands", "reference/errors", "profile")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, and beside it a profile."""
    place = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(place / "site"), strict=True))
    rows = "\n".join(f"{at},{20 + at % 60},{'FM'[at % 2]},{at % 3 % 2}" for at in range(600))
    (place / "stays.csv").write_text(f"stay_id,age,sex,died\n{rows}\n")
    page = render_profile(make_profile(read_sample(str(place / "stays.csv")), "died"))
    (place / "site" / "profile.html").write_text(page, encoding="utf-8")
    return place / "site"


@pytest.fixture(scope="module")
def browser():
    if why := absent():
        pytest.skip(why)
    page = open_browser()
    yield page
    page.quit()


@pytest.mark.parametrize("page", PAGES)
def test_axe_finds_nothing_against_level_a_or_aa_and_nothing_scrolls_sideways(site, browser, page):
    for width, scheme in ((1280, "light"), (390, "light"), (1280, "dark")):
        size(browser, width, scheme=scheme)
        browser.get((site / f"{page}.html").as_uri())
        browser.execute_script("localStorage.clear()")  # where the theme keeps the scheme of the visit before
        browser.refresh()
        assert violations(browser) == [], (width, scheme)
        wide = browser.execute_script("return document.scrollingElement.scrollWidth")
        assert wide <= width, (width, scheme)
