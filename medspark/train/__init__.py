"""Tensors to a bundle: the network, its baselines and its calibration."""
