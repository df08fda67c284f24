"""The bundle: the only thing that passes from training to scoring."""
