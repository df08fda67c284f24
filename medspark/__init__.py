"""medspark: calibrated patient risks, from raw records to published scores."""

__version__ = "0.1.0"
