"""What is asked of explanations: how many items, of which rows, by which method."""

import hashlib
import re
from typing import NamedTuple, get_args

from medspark.bundles.bundle import EXPLAIN, EXPLAIN_FACTS, KERAS, Bundle
from medspark.errors import BundleError, TaskError, did_you_mean
from medspark.score.worker.explanations.explain import Explaining
from medspark.score.worker.explanations.facts import Method

MOST_ITEMS = 1_000


class Ask(NamedTuple):
    """Which rows are explained, all of them unless `above` or `share` says so, and by how many items each."""

    top: int
    above: str | None = None
    """The risk band from which on."""
    share: float | None = None
    """Of the rows with a score, those with the largest probabilities."""
    method: Method = "gradients"

    def version(self, scores: str) -> str:
        """The version of scores and explanations together, from that of the scores alone.

        >>> Ask(5).version("35536ce9b645009a") == Ask(6).version("35536ce9b645009a")
        False
        """
        return hashlib.sha256(f"{scores} {'|'.join(map(str, self))}".encode()).hexdigest()[:16]


def read_ask(explain: str | None, above: str | None, share: float | None, by: str) -> Ask | None:
    """What the command's options ask for; None where they ask for no explanation.

    Raises:
        TaskError: they contradict one another, or one is not what it should be.

    >>> read_ask("top:5", "raised", None, "gradients")
    Ask(top=5, above='raised', share=None, method='gradients')
    """
    if explain is None:
        given = {"--explain-above": above, "--explain-share": share, "--explain-by": by if by != "gradients" else None}
        said = [name for name, value in given.items() if value is not None]
        if said:
            raise TaskError(said[0], ["there is nothing to explain without --explain top:5"])
        return None
    problems = []
    found = re.fullmatch(r"top:([0-9]{1,4})", explain)
    top = int(found.group(1)) if found else 0
    if not 1 <= top <= MOST_ITEMS:
        problems.append(f"--explain: expected top: and how many items, 1 to {MOST_ITEMS}, as top:5, received {explain}")
    if above is not None and share is not None:
        problems.append("expected --explain-above or --explain-share, received both")
    if share is not None and not 0 < share <= 1:
        problems.append(f"--explain-share: expected a share above 0 and up to 1, received {share:g}")
    if by not in get_args(Method):
        problems.append(f"--explain-by: expected {', '.join(get_args(Method))}, received {by}")
    if problems:
        raise TaskError("--explain", problems)
    return Ask(top, above, share, by)  # type: ignore[arg-type]


def explaining(bundle: Bundle, ask: Ask) -> Explaining:
    """What workers need to explain by a bundle; of a share of the rows the least probability is not known yet.

    Raises:
        BundleError: the bundle was made before there were explanations, or could not be explained.
        TaskError: its task has no such band.
    """
    files = bundle.manifest["files"]
    if EXPLAIN_FACTS not in files:
        raise BundleError(
            f"{bundle.path}: --explain: expected {EXPLAIN_FACTS} in the bundle, received one made before medspark "
            "explained scores. Train again: `medspark train`."
        )
    bands = bundle.task.risk_bands
    if ask.above is not None and ask.above not in bands:
        known = ", ".join(sorted(bands, key=bands.__getitem__)) or "none"
        hint = did_you_mean(ask.above, bands)
        raise TaskError("--explain-above", [f"expected a band of the task ({known}), received {ask.above!r}.{hint}"])
    by_litert = EXPLAIN in files
    name = EXPLAIN if by_litert else KERAS
    return Explaining(
        kind="litert" if by_litert else "tensorflow",
        network=str((bundle.path / name).resolve()),
        digest=files[name],
        facts=bundle.read_text(EXPLAIN_FACTS),
        facts_digest=files[EXPLAIN_FACTS],
        top=ask.top,
        method=ask.method,
        least=0.0 if ask.above is None else bands[ask.above],
    )
