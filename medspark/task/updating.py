"""How a bundle may be brought up to date, and what its update must not make worse. No Spark here."""

from pydantic import Field

from medspark.task.base import Closed


class Updating(Closed):
    rehearse: float = Field(default=1.0, ge=0, le=100)
    """Old cases of the store that are learned from again, for each new one; 0 for none."""
    rate: float = Field(default=0.1, gt=0, le=1)
    """The learning rate, as a share of training's."""
    step: float = Field(default=0.02, gt=0, le=1)
    """How far an update of each night may move the risks of held-out patients: the root of the mean squared change."""
    auroc: float = Field(default=0.01, ge=0, le=1)
    """An update is refused where its AUROC is lower by more, and not by chance, of the recent held-out patients or in a
    subgroup of them."""
    before: float = Field(default=0.02, ge=0, le=1)
    """The same of the held-out patients of before and their subgroups, as far as the store has them."""
    brier: float = Field(default=0.003, ge=0, le=1)
    """The same where its Brier score is higher by more, of recent patients and their subgroups."""
    calibration: float = Field(default=0.03, ge=0, le=1)
    """The same of the mean distance of risks from their smooth calibration curve."""
