"""The store's page of its nights: whoever judged a night writes it anew."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from medspark.errors import InputError
from medspark.monitor.drift import Compared
from medspark.monitor.estimate import Estimates, estimate
from medspark.monitor.night import Night
from medspark.monitor.outcomes import Part, Period
from medspark.monitor.page import Shown, render_site, scores_in
from medspark.monitor.verdict import Finding, Verdict
from medspark.runs.receipt import now
from medspark.runs.run import Run
from medspark.stages.kept_nights import Watched, tally_in, watched_in
from medspark.store.files import exists, read_text, write_text

SITE: Final = "site/index.html"
OURS: Final = ('<meta name="generator" content="medspark">', ": nights</title>\n<style>")
"""What a page of ours has; the second, one from before there was the first."""


@dataclass(frozen=True)
class Judged:
    """A night, what was found of it, and how it will probably have performed."""

    night: Night
    watched: Watched
    findings: list[Finding]
    verdict: Verdict
    estimates: Estimates
    """By `estimate`; empty where nothing was counted."""
    compared: list[Compared]
    """Everything that was compared with training."""


class CameTrue(NamedTuple):
    """What became of scored cases."""

    periods: list[Period]
    """Night by night."""
    whole: Period | None
    """Of all nights together."""
    parts: list[Part]
    """Of each level of the subgroups, of all nights together."""


NOTHING: Final = CameTrue([], None, [])


def estimates_of(watched: Watched, night: Night) -> Estimates:
    """What the night's performance will probably be."""
    if watched.reference is None or night.tally is None:
        return {}
    counts = scores_in(tally_in(watched.reference, night), watched.reference.plan)
    return estimate(counts, watched.reference.recalibration)


def name_of(night: Night) -> str:
    """A night's name among periods, which sort as nights did."""
    return f"{night.at[:16].replace('T', ' ')} {night.version[:8]}"


def require_own_page(run: Run) -> None:
    """Raises: InputError: the page's place has another, which is not ours to replace."""
    place = f"{run.store}/{SITE}"
    if not exists(run.context, place):
        return
    try:
        page = read_text(run.context, place)
    except UnicodeDecodeError:
        page = ""
    if not any(mark in page for mark in OURS):
        raise InputError(f"{place}: expected a page of medspark's or none, received another. Move it away.")


def write_page(run: Run, found: Judged, nights: Sequence[Night], known: CameTrue = NOTHING) -> None:
    """Write the page of a judged night.

    Args:
        run: its store has the page, which is ours or not there.
        found: the night.
        nights: the newest of the store's, the oldest first, with those that came true.
        known: what came true.
    """
    nights = [found.night if night.run_id == found.night.run_id else night for night in nights]
    every = {one: watched_in(run.context, run.store, one) for one in {night.bundle_id for night in nights}}
    names = {name_of(night): night for night in nights if night.published}
    references = {one: watched.reference for one, watched in every.items() if watched.reference is not None}
    page = render_site(
        Shown(
            title=found.watched.title,
            at=now(),
            nights=nights,
            plans={one: reference.plan for one, reference in references.items()},
            trained={one: scores_in(reference.tally(), reference.plan) for one, reference in references.items()},
            titles={one: watched.title for one, watched in every.items()},
            night=found.night,
            verdict=found.verdict,
            findings=found.findings,
            compared=found.compared,
            estimates=found.estimates,
            periods=known.periods,
            parts=known.parts,
            estimated={
                one.name: estimates_of(every[names[one.name].bundle_id], names[one.name]) for one in known.periods
            },
        )
    )
    place = f"{run.store}/{SITE}"
    write_text(run.context, place, page)
    run.receipt.outputs["site"] = place
