"""Metrics as Prometheus' own parser reads them."""

from prometheus_client.parser import text_string_to_metric_families

from medspark.runs.metrics import Gauge, exposition


def test_what_is_written_is_what_prometheus_reads_whatever_a_label_has():
    odd = 'Zoë "q" \\ a\nb'
    gauges = [
        Gauge("medspark_night_success", "Whether it ended well.", [({"deployment": odd}, 1)]),
        Gauge("medspark_night_stage_seconds", "Seconds.", [({"stage": "score"}, 0.125), ({"stage": "publish"}, 1e-7)]),
        Gauge("medspark_night_scored", "Cases.", []),
    ]
    found = {family.name: family for family in text_string_to_metric_families(exposition(gauges))}
    assert list(found) == ["medspark_night_success", "medspark_night_stage_seconds"]
    assert found["medspark_night_success"].type == "gauge"
    assert [(sample.labels, sample.value) for sample in found["medspark_night_success"].samples] == [
        ({"deployment": odd}, 1.0)
    ]
    assert [sample.value for sample in found["medspark_night_stage_seconds"].samples] == [0.125, 1e-7]
