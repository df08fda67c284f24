"""How good the risks are: metrics with intervals, calibration, subgroups, the report. No Spark."""
