"""A line about each feature, for the report."""

from typing import Any

from medspark.encode.statistics import Statistics


def feature_rows(statistics: Statistics) -> list[dict[str, Any]]:
    """A line about each feature in the training split; levels and counts, never a patient's value."""
    rows: list[dict[str, Any]] = [
        {
            "name": f.column,
            "kind": "numeric",
            "missing_share": f.missing_share,
            "summary": f"mean {f.mean:.4g}, sd {f.sd:.4g}; {f.scaling} scaling; missing becomes {f.impute:.4g}",
        }
        for f in statistics.numeric
    ]
    rows += [
        {
            "name": f.column,
            "kind": "categorical",
            "missing_share": f.missing_share,
            "summary": f"{len(f.levels)} levels; {f.rare:,} cases with a rarer one",
        }
        for f in statistics.categorical
    ]
    rows += [
        {
            "name": f"{bag.name} ({', '.join(bag.columns)})",
            "kind": "codes",
            "missing_share": bag.missing_share,
            "summary": f"{len(bag.codes)} codes; {bag.rare:,} rarer ones unknown",
        }
        for bag in statistics.codes
    ]
    groups = [
        *(("bag", bag, f"(at most {bag.width} a case)", "unknown") for bag in statistics.bags),
        *(("values", v, f"x {len(v.takes)} numbers; {v.scaling} scaling", "left out") for v in statistics.values),
        *(
            ("sequence", sequence, f"of the last {sequence.last} events", "unknown")
            for sequence in statistics.sequences
        ),
        *(("grid", grid, f"x {grid.steps} steps", "left out") for grid in statistics.grids),
    ]
    rows += [
        {
            "name": group.column,
            "kind": kind,
            "missing_share": group.missing_share,
            "summary": f"{len(group.codes)} codes {shape}; {group.rare:,} rarer ones {fate}",
        }
        for kind, group, shape, fate in groups
    ]
    return rows
