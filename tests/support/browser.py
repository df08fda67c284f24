"""A headless Chromium, its sizes and schemes, and axe-core in a page."""

import shutil
from importlib.resources import files
from typing import Any

OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--hide-scrollbars",
)  # fmt: skip
LEVELS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
"""axe-core's tags of the success criteria of level A and AA."""


def absent() -> str | None:
    """What keeps a page from being opened; None where nothing does."""
    if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
        return "chromium and chromedriver are not installed"
    return None


def open_browser() -> Any:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for option in OPTIONS:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))


def size(page: Any, width: int, height: int = 844, media: str = "", scheme: str = "light") -> None:
    """Show the page as a screen of this width has it, or as `media: print` prints it, light or dark."""
    device = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", device)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})


def violations(page: Any) -> list[dict[str, Any]]:
    """What axe-core finds against the success criteria of level A and AA: each rule with the elements that break it."""
    page.execute_script(files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
    found = page.execute_async_script(
        "const [levels, done] = arguments;"
        "axe.run(document, {runOnly: {type: 'tag', values: levels}})"
        ".then(done, error => done({error: String(error)}));",
        list(LEVELS),
    )
    assert "error" not in found, found["error"]
    assert found["passes"], "axe-core looked at nothing"
    return [{"rule": one["id"], "at": [node["html"][:200] for node in one["nodes"]]} for one in found["violations"]]
