"""Ages that nobody can have, told of a run."""

from medspark.cases.attrition import IMPOSSIBLE
from medspark.cases.worker.population import OLDEST
from medspark.runs.run import Run


def tell_ages(run: Run, section: str, impossible: int) -> None:
    """Note how many candidates have an impossible age, in a section of the receipt's counts; say so where some do."""
    run.receipt.counts[section][IMPOSSIBLE] = impossible
    if impossible:
        of = f"{impossible:,} candidates, after their prediction time or more than {OLDEST:g} years before it"
        run.say(f"  look at     the births of {of}: their age counts as unknown")
