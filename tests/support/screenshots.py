"""Pictures of pages as a desktop and a phone show them, light and dark, and as a printer prints them.

    python tests/support/screenshots.py --out build/screenshots PAGE.html ...

A page is a report, or a store's page of its nights. Without one those of `make demo` are taken. Of each the first
screen, the whole page and the PDF are written.
"""

import argparse
import base64
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.browser import absent, open_browser, size

SCREENS = {"desktop": (1280, 800), "phone": (390, 844)}


def name_of(path: Path) -> str:
    """A page's name: its folder's, and of a store's page the store's.

    >>> name_of(Path("/build/demo/bundles/4ba04f/report.html")), name_of(Path("/build/demo/site/index.html"))
    ('4ba04f', 'demo-nights')
    """
    return f"{path.parents[1].name}-nights" if path.parent.name == "site" else path.parent.name


def take(page: Any, path: Path, out: Path) -> list[Path]:
    """The pictures of one page."""
    page.get(path.resolve().as_uri())
    name, written = name_of(path.resolve()), []
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
    parser.add_argument("pages", nargs="*", type=Path)
    parser.add_argument("--out", type=Path, default=Path("build/screenshots"))
    asked = parser.parse_args()
    demo = Path("build/demo")
    pages = asked.pages or sorted([*demo.glob("**/report.html"), *demo.glob("**/site/index.html")])
    why = absent() or ("" if pages else "no page is named, and `make demo` has made none")
    if why:
        raise SystemExit(why)
    asked.out.mkdir(parents=True, exist_ok=True)
    page = open_browser()
    try:
        for path in pages:
            for picture in take(page, path, asked.out):
                print(picture)
    finally:
        page.quit()


if __name__ == "__main__":
    main()
