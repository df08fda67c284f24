"""Where the project's own files lie."""

from pathlib import Path

ROOT = Path(__file__).parents[2]

PLACES = {"MEDSPARK_DATA": "/data", "MEDSPARK_SYNTH": "/synth", "CINC2012": "/cinc2012", "MEDMNIST": "/medmnist"}
"""The variables that the shipped tasks name, set to places where nothing is."""
