"""Cases to tensors: statistics fitted on the training split, applied alike in training and scoring."""
