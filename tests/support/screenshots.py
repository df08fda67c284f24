"""Pictures of reports as a desktop and a phone show them, light and dark, and as a printer prints them.

    python tests/support/screenshots.py --out build/screenshots REPORT.html ...

Without a report those of `make demo` are taken. Of each the first screen, the whole page and the PDF are written.
"""

import argparse
import base64
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.browser import absent, open_browser, size

SCREENS = {"desktop": (1280, 800), "phone": (390, 844)}


def take(page: Any, report: Path, out: Path) -> list[Path]:
    """The pictures of one report, named by its folder."""
    page.get(report.resolve().as_uri())
    name, written = report.resolve().parent.name, []
    for screen, (width, height) in SCREENS.items():
        for scheme in ("light", "dark"):
            for part, whole in (("first", False), ("whole", True)):
                size(page, width, height, scheme=scheme)
                shot = page.execute_cdp_cmd(
                    "Page.captureScreenshot", {"captureBeyondViewport": whole, **_clip(page, whole)}
                )
                written.append(_write(out / f"{name}-{screen}-{scheme}-{part}.png", shot["data"]))
    size(page, 1280)
    printed = page.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    return [*written, _write(out / f"{name}.pdf", printed["data"])]


def _clip(page: Any, whole: bool) -> dict[str, Any]:
    if not whole:
        return {}
    wide, high = page.execute_script("const e = document.scrollingElement; return [e.scrollWidth, e.scrollHeight]")
    return {"clip": {"x": 0, "y": 0, "width": wide, "height": high, "scale": 1}}


def _write(path: Path, content: str) -> Path:
    path.write_bytes(base64.b64decode(content))
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reports", nargs="*", type=Path)
    parser.add_argument("--out", type=Path, default=Path("build/screenshots"))
    asked = parser.parse_args()
    reports = asked.reports or sorted(Path("build/demo").glob("**/report.html"))
    why = absent() or ("" if reports else "no report is named, and `make demo` has made none")
    if why:
        raise SystemExit(why)
    asked.out.mkdir(parents=True, exist_ok=True)
    page = open_browser()
    try:
        for report in reports:
            for path in take(page, report, asked.out):
                print(path)
    finally:
        page.quit()


if __name__ == "__main__":
    main()
