"""What a store can tell of what it published: each score that a case ever got, and whether anything was altered."""

from collections.abc import Iterator
from typing import Any, Final

from pyspark.sql import functions as F

from medspark.errors import InputError
from medspark.runs.run import Run
from medspark.schemas import (
    CASE_ID,
    CONTRIBUTION,
    EXPLANATIONS,
    FEATURE,
    ITEM,
    PROBABILITY,
    RANK,
    REASON,
    REJECTED,
    RISK_BAND,
    SCORES,
    VALUE,
)
from medspark.store.ledger import Entry, chain_problems, published_entries, read_entries
from medspark.store.manifest import MANIFEST, differences, manifest_digest
from medspark.store.tables import read_parquet
from medspark.store.versions import StoreVersions, read_versions

PUBLISHED: Final = (SCORES, REJECTED, EXPLANATIONS)
"""The tables of one scoring run."""


def why_stage(run: Run, case: str) -> list[dict[str, Any]]:
    """Say each score that a case ever got, from which inputs, by what and by whom, in the ledger's order.

    Args:
        run: its store's ledger is read.
        case: the case's id as text.

    Returns:
        An entry for each night that has the case: the ledger's facts, and its probability and band or the reason
        why it has none, and what raised and lowered it. A night that is not as it was published has one too, with
        what is `damaged` of it in place of a score.

    Raises:
        InputError: no night that the store still has whole knows the case.
    """
    versions, entries = read_versions(run.context, run.store), published_entries(run.context, run.store)
    damaged = _damaged(run, versions, entries)
    run.receipt.damaged |= damaged
    found = [told for entry in entries for told in _told(run, versions, entry, case, damaged)]
    whole = [told for told in found if "damaged" not in told]
    if not whole:
        which = "".join(f"\n  - {problem}" for problems in damaged.values() for problem in problems)
        also = f"; of these nothing can be told:{which}" if damaged else ""
        raise InputError(f"{run.store}: expected a case that was published, received one that no kept night has{also}")
    run.receipt.counts["why"] = {"nights": len(whole)}
    for told in found:
        _say(run, told)
    return found


def _damaged(run: Run, versions: StoreVersions, entries: list[Entry]) -> dict[str, list[str]]:
    """What is not as it was published, by version."""
    last = {entry.facts["version"]: entry for entry in entries}
    problems = {version: [*_version_problems(run, versions, version, entry)] for version, entry in last.items()}
    return {version: told for version, told in problems.items() if told}


def _told(
    run: Run, versions: StoreVersions, entry: Entry, case: str, damaged: dict[str, list[str]]
) -> Iterator[dict[str, Any]]:
    version = entry.facts["version"]
    if version in damaged:
        yield {**entry.facts, "damaged": damaged[version]}
        return
    there = {name for name, table in versions.items() if table.is_published(version)}
    mine = F.col(CASE_ID).cast("string") == case
    if SCORES in there:
        for row in read_parquet(run.spark, f"{run.store}/{SCORES}/{version}").where(mine).collect():
            told = {"probability": row[PROBABILITY], "risk_band": row[RISK_BAND]}
            yield {**entry.facts, **told, "reasons": _reasons(run, there, version, case)}
    if REJECTED in there:
        for row in read_parquet(run.spark, f"{run.store}/{REJECTED}/{version}").where(mine).collect():
            yield {**entry.facts, "rejected": row[REASON]}


def _reasons(run: Run, there: set[str], version: str, case: str) -> list[dict[str, Any]]:
    if EXPLANATIONS not in there:
        return []
    rows = read_parquet(run.spark, f"{run.store}/{EXPLANATIONS}/{version}")
    mine = rows.where(F.col(CASE_ID).cast("string") == case).orderBy(RANK)
    return [row.asDict() for row in mine.select(RANK, FEATURE, ITEM, VALUE, CONTRIBUTION).collect()]


def _say(run: Run, told: dict[str, Any]) -> None:
    if "damaged" in told:
        run.say(f"{told['as_of']}  cannot be told: {', '.join(told['damaged'])}")
        return
    score = f"{told[PROBABILITY]:.4f} {told[RISK_BAND] or 'no band'}" if PROBABILITY in told else told["rejected"]
    run.say(f"{told['as_of']}  {score}")
    run.say(f"  published {told['at']} by {told['user']} on {told['host']}, run {told['run_id']}")
    run.say(f"  bundle {told['bundle_id']}, inputs {told['fingerprint']}, medspark {told['versions'].get('medspark')}")
    given = ", ".join(f"{name} {value}" for name, value in told["arguments"].items() if value is not None)
    run.say(f"  arguments {given}")
    for reason in told.get("reasons", []):
        what = " ".join(str(part) for part in (reason[FEATURE], reason[ITEM], reason[VALUE]) if part)
        run.say(f"    {reason[CONTRIBUTION]:+.3f}  {what}")


def verify_stage(run: Run, expected: str | None = None) -> int:
    """Prove that the ledger is as it was written, and each version that a night published, as far as it is kept.

    Args:
        run: its store is looked at.
        expected: the digest of an entry, noted elsewhere.

    Returns:
        The ledger's entries.

    Raises:
        InputError: something was altered, removed or reordered; all of it is named.
    """
    problems = chain_problems(run.context, run.store, expected)
    entries, versions = read_entries(run.context, run.store), read_versions(run.context, run.store)
    if not entries and not problems:
        raise InputError(f"{run.store}: expected a store that a night published from, received one without a ledger")
    for found in _damaged(run, versions, published_entries(run.context, run.store)).values():
        problems += found
    if problems:
        told = "\n".join(f"  - {problem}" for problem in problems)
        raise InputError(f"{run.store} is not as it was written:\n{told}")
    run.receipt.counts["verify"] = {"entries": len(entries), "digest": entries[-1].digest}
    run.say(f"{len(entries)} entries are as they were written; the last is {entries[-1].digest}")
    return len(entries)


def _version_problems(run: Run, versions: StoreVersions, version: str, entry: Entry) -> Iterator[str]:
    """What of a version's tables is not as its last entry in the ledger and its manifests have it."""
    noted: dict[str, str] = entry.facts.get("manifests", {})
    for name in PUBLISHED:
        if name not in versions or not versions[name].is_published(version):
            continue
        place = f"{run.store}/{name}/{version}"
        yield from (f"{name}/{version}: {text}" for text in differences(run.context, place))
        if name in noted and noted[name] != manifest_digest(run.context, place):
            yield f"{name}/{version}: {MANIFEST} is another than entry {entry.number} has"


def manifests_of(run: Run, version: str) -> dict[str, str]:
    """The digests of a version's manifests by their tables, which bind a ledger's entry to every byte of the scores."""
    found = {name: manifest_digest(run.context, f"{run.store}/{name}/{version}") for name in PUBLISHED}
    return {name: digest for name, digest in found.items() if digest is not None}
