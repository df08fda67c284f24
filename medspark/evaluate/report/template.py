"""The templates of pages that need nothing else, and the style that they share."""

from importlib.resources import files

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

SHARED = "evaluate/report"


def template_of(folder: str, name: str) -> Template:
    """A page's template, of a folder below the package, which may take what the report's folder has; a name that it
    lacks is an error, and text is escaped."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("medspark", one) for one in (folder, SHARED)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def style() -> Markup:
    css = files("medspark.evaluate.report").joinpath("report.css").read_text(encoding="utf-8")
    return Markup(css)  # noqa: S704 (a file of this package)
