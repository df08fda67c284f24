"""What no run can know of a model and a person says in the task file, for the model card. No Spark here."""

from typing import Any, Literal

from pydantic import Field

from medspark.task.base import Closed, unsaid

DecisionRole = Literal["informs", "augments", "replaces"]


def _asks(what: str, default: Any = None) -> Any:
    return Field(default=default, exclude_if=unsaid, description=what)


class Card(Closed):
    """Every key is optional; the model card names those that are left out, with what each asks for."""

    developer: str | None = _asks("who made the model")
    contact: str | None = _asks("how they are reached")
    funding: str | None = _asks("who paid for it, and what part they had in it")
    conflicts: str | None = _asks("conflicts of interest, or that there are none")
    background: str | None = _asks("the context of care, why the model was made, and which models there are already")
    inequalities: str | None = _asks("known inequalities of health or care between groups")
    setting: str | None = _asks("kind, number and place of the centres")
    dates: str | None = _asks("when the data were collected")
    representative: str | None = _asks("whom the data stand for, and whom not")
    treatments: str | None = _asks("treatments that change the outcome, and how they were handled")
    outcome_reason: str | None = _asks("why this outcome, and how it was assessed")
    thresholds_reason: str | None = _asks("why the risk bands begin where they do")
    users: str | None = _asks("who is to use the model, and what they must be able to do")
    role: DecisionRole | None = _asks("whether a risk informs, augments or replaces a decision")
    how_to_use: str | None = _asks("what is done with a risk, and where in the course of care")
    limits: tuple[str, ...] = _asks("known risks, limits and settings that do not suit", ())
    fairness: str | None = _asks("what was done so that the model serves groups alike")
    ethics: str | None = _asks("ethical approval and consent, or why none was needed")
    protocol: str | None = _asks("where the study protocol is, or that there is none")
    registration: str | None = _asks("where the study is registered, or that it is not")
    data_sharing: str | None = _asks("who may have the data, and how")
    involvement: str | None = _asks("which patients and members of the public took part, or that none did")
    stakeholders: str | None = _asks("who else was asked")
    interpretation: str | None = _asks("what the results mean, beside earlier studies")
    next_steps: str | None = _asks("what must come before wider use")
    evidence: str | None = _asks("studies of what using the model did to patients, or that there are none")
    monitoring: str | None = _asks("how, and how often, validity and fairness are watched")
    updating: str | None = _asks("how, and how often, the model is updated and corrected")
    clinical_risk: str | None = _asks("the level of clinical risk, and by which scheme")
    regulation: str | None = _asks("approval by a regulator, or that there is none")
    stage: str | None = _asks("how far the model is: in development, silent trial, in use")
    availability: str | None = _asks("where in the world it is offered")
    consent: str | None = _asks("whether and how patients are told")
    publications: str | None = _asks("peer-reviewed publications, or that there are none")
    keywords: tuple[str, ...] = _asks("words that the model is found by", ())


def asked(key: str) -> str:
    """What a key asks for.

    >>> asked("funding")
    'who paid for it, and what part they had in it'
    """
    return str(Card.model_fields[key].description)
