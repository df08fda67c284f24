"""A store's nights are counted while they are scored, judged, shown on a page, and kept back where they must be."""

import json
import shutil
from contextlib import suppress

import pytest
from pyspark.sql import functions as F
from support.relapse import PATIENTS, hospital, write_meds
from support.roads import new_run, score, scores_of, stays, write
from support.tasks import stays_at
from support.tensors import WAYS, score_tensors

from medspark import schemas
from medspark.bundles.bundle import MONITOR, SCORED_BY, load_bundle
from medspark.bundles.manifest import MANIFEST, id_of
from medspark.errors import GateError, InputError
from medspark.monitor.worker.tally import unpacked
from medspark.stages.clean import clean_stage
from medspark.stages.encode import encode_stage
from medspark.stages.features import features_stage
from medspark.stages.kept_nights import nights_of, tally_in, watched_in, watched_of
from medspark.stages.monitor import monitor_stage
from medspark.stages.score import score_stage, score_tensors_stage
from medspark.stages.site import SITE
from medspark.stages.watch import Gate
from medspark.store.tables import current_version, read_table

pytestmark = pytest.mark.slow


def months(lines):
    """The same stays with the ages in months."""
    found = []
    for line in lines:
        stay, patient, age, *rest = line.split(",")
        found.append(",".join([stay, patient, f"{float(age) / 12:.2f}" if age else "", *rest]))
    return found


def newest(context, store):
    return nights_of(context, str(store))[-1]


@pytest.fixture(scope="module")
def normal():
    return stays(600, seed=11)


@pytest.fixture(scope="module")
def drifted(normal):
    """Half of the ages a twelfth, as if somebody had divided months a second time."""
    return [*months(normal[:300]), *normal[300:]]


@pytest.fixture(scope="module")
def encoded(spark, road):
    """The store of the stays' tensors."""
    run = new_run(spark, road["folder"] / "encoded-to-monitor")
    encode_stage(run, load_bundle(road["bundle"]), str(road["source"]))
    return run.store


def watched(spark, road, name, lines, **gate):
    return score(spark, road, name, lines, **({"gate": Gate(**gate)} if gate else {}))


# ---------------------------------------------------------------- counted


def test_a_bundle_carries_what_nights_are_compared_with_and_it_decides_no_score(road):
    bundle = load_bundle(road["bundle"])
    reference = watched_of(bundle).reference
    names = {gauge.name for gauge in reference.plan.gauges}
    assert names == {"age", "sex", "diagnoses"}
    counts = reference.tally().counts[0]
    assert counts[-1] == bundle.manifest["splits"]["train"]["cases"]
    scored = counts[reference.plan.starts[-1] : -1].sum()
    assert scored == bundle.manifest["splits"]["test"]["cases"]


def test_every_way_of_scoring_counts_the_same(spark, road, encoded):
    plan = watched_of(load_bundle(road["bundle"])).reference.plan
    tallies = {}
    for writer in ("spark", "workers"):
        _, run = score(spark, road, f"counted-{writer}", writer=writer)
        tallies[writer] = newest(spark.sparkContext, run.store)
    for way, options in WAYS.items():
        _, run = score_tensors(spark, road, encoded, f"counted-tensors-{way}", **options)
        tallies[f"tensors, {way}"] = newest(spark.sparkContext, run.store)
    counts = {name: unpacked(night.tally, plan).counts.tolist() for name, night in tallies.items()}
    assert all(found == counts["spark"] for found in counts.values()), {n: c[0][-1] for n, c in counts.items()}
    assert all(sum(c[0]) > 0 for c in counts.values())
    assert {night.scored for night in tallies.values()} == {counts["spark"][0][-1]}


def test_scores_are_the_same_with_and_without_being_counted(spark, road, normal, tmp_path):
    bundle = without_reference(road["bundle"], tmp_path)
    run = new_run(spark, road["folder"] / "uncounted")
    source = write(road["folder"] / "uncounted.csv", normal)
    score_stage(run, load_bundle(bundle), str(source))
    assert scores_of(spark, run.store) == watched(spark, road, "counted", normal)[0]


def without_reference(bundle, folder):
    """A bundle as it was written before there was monitoring: without its file, under its own id."""
    old = folder / "bundle"
    shutil.copytree(bundle, old)
    (old / MONITOR).unlink()
    manifest = json.loads((old / MANIFEST).read_text())
    del manifest["files"][MONITOR]
    manifest["bundle_id"] = id_of(manifest, SCORED_BY)
    (old / MANIFEST).write_text(json.dumps(manifest, indent=1))
    return old.rename(folder / manifest["bundle_id"])


# ---------------------------------------------------------------- judged


def test_a_night_like_training_is_ok_and_has_a_page(spark, road, normal):
    _, run = watched(spark, road, "ok-night", normal)
    judging = new_run(spark, run.store)
    found = monitor_stage(judging)
    assert (found.verdict, found.findings) == ("ok", [])
    assert judging.receipt.verdict == "ok"
    table = read_table(spark, run.store, "findings")
    assert table.count() == 0
    assert table.dtypes == list(schemas.FINDING_TYPES.items())
    page = (road["folder"] / "ok-night" / SITE).read_text()
    assert "Nothing that chance does not bring was found." in page
    assert found.estimates["auroc"]["low"] < found.estimates["auroc"]["value"] < found.estimates["auroc"]["high"]


def test_a_page_that_is_not_ours_stays_and_is_named_before_anything_is_published(spark, road, normal):
    _, run = watched(spark, road, "their-page", normal)
    page = road["folder"] / "their-page" / SITE
    page.parent.mkdir()
    for theirs in (b"<title>the ward's own: nights</title>", b"\xff\xfe"):
        page.write_bytes(theirs)
        with pytest.raises(InputError, match=r"site/index\.html: expected a page of medspark's or none"):
            monitor_stage(new_run(spark, run.store))
        assert page.read_bytes() == theirs
    assert current_version(spark.sparkContext, run.store, "findings") is None
    page.unlink()
    monitor_stage(new_run(spark, run.store))
    page.write_text(
        page.read_text().replace('<meta name="generator" content="medspark">\n', "")
    )  # as before it said so
    monitor_stage(new_run(spark, run.store))
    assert '<meta name="generator" content="medspark">' in page.read_text()


def test_a_planted_unit_error_stops_the_night_and_is_named_in_table_page_and_receipt(spark, road, drifted):
    _, run = watched(spark, road, "stop-night", drifted)
    judging = new_run(spark, run.store)
    with pytest.raises(GateError, match="the verdict is stop") as refused:
        monitor_stage(judging)
    assert refused.value.exit_code == 4
    told = "of its numbers are 0.08333 times what they should be, like years in place of months (time)"
    assert told in str(refused.value)
    rows = read_table(spark, run.store, "findings").collect()
    assert rows[0]["run_id"] == current_version(spark.sparkContext, run.store, "scores")
    assert ("age", "units", "stop") in {(row["subject"], row["measure"], row["verdict"]) for row in rows}
    assert judging.receipt.verdict == "stop"
    assert any("years in place of months" in reason for reason in judging.receipt.verdict_reasons)
    assert "years in place of months" in (road["folder"] / "stop-night" / SITE).read_text()


def test_a_feed_that_stopped_is_named_the_same_night(spark, road, normal):
    _, run = watched(spark, road, "no-feed", normal)
    again = write(road["folder"] / "no-feed-2.csv", [])
    second = new_run(spark, run.store)
    second.receipt.run_id = "99991231T000000Z-zzzz"  # later than the first whatever the clock
    score_stage(second, load_bundle(road["bundle"]), str(again))
    with pytest.raises(GateError, match=r"0 rows .*the feed stopped"):
        monitor_stage(new_run(spark, run.store))


def test_a_bundle_from_before_monitoring_says_so_and_its_nights_are_beside_one_another(spark, road, normal, tmp_path):
    old = load_bundle(without_reference(road["bundle"], tmp_path))
    run = new_run(spark, tmp_path / "store")
    source = write(tmp_path / "stays.csv", normal)
    score_stage(run, old, str(source))
    found = monitor_stage(new_run(spark, run.store))
    assert (found.verdict, found.estimates, found.compared) == ("ok", {}, [])
    assert "the bundle was made before monitoring" in (tmp_path / "store" / SITE).read_text()
    gated = new_run(spark, tmp_path / "gated")
    with pytest.raises(GateError, match=f"the bundle has no {MONITOR}"):
        score_stage(gated, old, str(source), gate=Gate("warn"))


def test_a_store_without_scores_has_nothing_to_judge(spark, tmp_path):
    with pytest.raises(InputError, match="has no night in monitoring"):
        monitor_stage(new_run(spark, tmp_path / "empty"))


# ---------------------------------------------------------------- kept back


def test_a_gate_lets_a_night_like_training_through(spark, road, normal):
    found, run = watched(spark, road, "let-through", normal, require="ok")
    assert len(found) == run.receipt.counts["score"]["scored"]
    assert run.receipt.verdict == "ok"
    assert newest(spark.sparkContext, run.store).verdict == "ok"
    assert run.receipt.outputs["site"] == f"{run.store}/{SITE}"
    page = (road["folder"] / "let-through" / SITE).read_text()
    assert '<span class="verdict verdict-ok">' in page
    assert "It was refused" not in page


@pytest.mark.parametrize("writer", ["workers", "spark"])
def test_a_refused_night_is_not_published_and_its_reasons_are_listed(spark, road, normal, drifted, writer):
    _, first = watched(spark, road, f"refused-{writer}", normal, require="warn")
    before = current_version(spark.sparkContext, first.store, "scores")
    source = write(road["folder"] / f"refused-{writer}-2.csv", drifted)
    run = new_run(spark, first.store)
    with pytest.raises(GateError, match="nothing was published") as refused:
        score_stage(run, load_bundle(road["bundle"]), str(source), writer=writer, gate=Gate("warn"))
    assert refused.value.exit_code == 4
    assert "years in place of months" in str(refused.value)
    assert current_version(spark.sparkContext, first.store, "scores") == before
    assert (run.receipt.verdict, run.receipt.override) == ("stop", None)
    kept = {night.run_id: night for night in nights_of(spark.sparkContext, first.store)}[run.receipt.run_id]
    assert (kept.published, kept.verdict) == (False, "stop")
    page = (road["folder"] / f"refused-{writer}" / SITE).read_text()
    assert "It was refused: nothing of it is published" in page
    assert "years in place of months" in page

    overridden = new_run(spark, first.store)
    gate = Gate("warn", override="The clinic moved to months tonight, checked by hand")
    score_stage(overridden, load_bundle(road["bundle"]), str(source), writer=writer, gate=gate)
    assert current_version(spark.sparkContext, first.store, "scores") == overridden.receipt.version != before
    assert overridden.receipt.override == "The clinic moved to months tonight, checked by hand"
    assert overridden.receipt.verdict == "stop"
    assert overridden.receipt.counts["score"]["scored_before"] == overridden.receipt.counts["score"]["scored"]
    night = {night.run_id: night for night in nights_of(spark.sparkContext, first.store)}[overridden.receipt.run_id]
    assert (night.published, night.override) == (True, gate.override)
    assert unpacked_rows(road, night) == night.scored  # counted once, though refused before


def unpacked_rows(road, night):
    plan = watched_of(load_bundle(road["bundle"])).reference.plan
    return unpacked(night.tally, plan).counts[0, -1]


@pytest.mark.parametrize("theirs", [SITE, "site"])
def test_tensors_pass_the_gate_too_and_leave_what_lies_where_the_page_goes_alone(spark, road, encoded, theirs):
    name = f"gated-tensors-{len(theirs)}"
    page = road["folder"] / name / theirs
    page.parent.mkdir(parents=True)
    page.write_text("<title>the ward's own</title>")
    run = new_run(spark, road["folder"] / name)
    score_tensors_stage(run, load_bundle(road["bundle"]), str(encoded), gate=Gate("ok"))
    assert run.receipt.verdict == "ok"
    assert current_version(spark.sparkContext, run.store, "scores") == run.receipt.version
    assert page.read_text() == "<title>the ward's own</title>"
    assert "site" not in run.receipt.outputs


# ---------------------------------------------------------------- what came true


def test_outcomes_are_held_against_what_was_estimated(spark, road, normal, tmp_path):
    _, run = watched(spark, road, "matured", normal)
    later = new_run(spark, tmp_path / "later")
    features_stage(later, clean_stage(later, stays_at(road["folder"] / "matured.csv")))
    judging = new_run(spark, run.store)
    monitor_stage(judging, later.store)
    (period,) = judging.receipt.counts["monitor"]["outcomes"]
    auroc, estimate = period["figures"]["auroc"], judging.receipt.counts["monitor"]["estimate"]["auroc"]
    assert auroc["low"] < auroc["value"] < auroc["high"]
    assert estimate["low"] - 0.02 < auroc["value"] < estimate["high"] + 0.02
    assert "What came true" in (road["folder"] / "matured" / SITE).read_text()


def test_outcomes_of_other_cases_are_refused(spark, road, normal, tmp_path):
    _, run = watched(spark, road, "not-matured", normal)
    others = [",".join([f"7{line.split(',')[0]}99", *line.split(",")[1:]]) for line in normal]
    later = new_run(spark, tmp_path / "later")
    features_stage(later, clean_stage(later, stays_at(write(tmp_path / "others.csv", others))))
    with pytest.raises(InputError, match="received none of its `case_id`s"):
        monitor_stage(new_run(spark, run.store), later.store)


# ---------------------------------------------------------------- events


def newest_event_of(run):
    """What the store's night says of its newest event."""
    (night,) = nights_of(run.context, run.store)
    return tally_in(watched_in(run.context, run.store, night.bundle_id).reference, night).newest_event


def newest_event_in(spark, run):
    """The newest of those that stand beside the scores, in microseconds since 1970."""
    scores = read_table(spark, run.store, "scores")
    return scores.agg(F.unix_micros(F.max("newest_event"))).first()[0]


def test_results_of_a_warehouse_that_come_in_another_unit_stop_the_night_by_name(spark, relapse_road, tmp_path):
    rows = [
        (subject, time, code, number * 10 if code == "LAB/crp" and number is not None else number, *rest)
        for subject, time, code, number, *rest in hospital(PATIENTS, seed=3)
    ]
    bundle, verdicts = load_bundle(relapse_road["bundle"]), {}
    for name, source in {"as ever": hospital(PATIENTS, seed=3), "ten times": rows}.items():
        run = new_run(spark, tmp_path / name.replace(" ", "-"))
        folder = write_meds(tmp_path / f"meds-{name.replace(' ', '-')}", source)
        with suppress(GateError):
            score_stage(run, bundle, str(folder), gate=Gate("ok"))
        verdicts[name] = (run.receipt.verdict, run.receipt.verdict_reasons)
        if name == "as ever":
            told = newest_event_of(run), newest_event_in(spark, run)
    assert told[0] == told[1]
    assert verdicts["as ever"][0] == "ok", verdicts["as ever"]
    assert verdicts["ten times"][0] == "stop"
    named = [reason for reason in verdicts["ten times"][1] if "10 times what they should be" in reason]
    for result in ("labs_30d: last of LAB/crp", "labs_30d: mean of LAB/crp", "curve: LAB/crp"):
        assert any(reason.startswith(f"stop: {result}: ") for reason in named), verdicts["ten times"][1]
