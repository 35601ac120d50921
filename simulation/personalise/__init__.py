"""Personalisation: the numbers of one patient's heart from what was measured of it, and how sure they are."""

from simulation.personalise.activation import ActivationMap, eikonal_arrival, fit_activation
from simulation.personalise.estimators import by_cma, by_kalman
from simulation.personalise.heart import FITTED, Curves, Forward, Heart, Prior, population_prior
from simulation.personalise.measurement import Cuff, Fit, Measurement

__all__ = [
    "FITTED",
    "ActivationMap",
    "Cuff",
    "Curves",
    "Fit",
    "Forward",
    "Heart",
    "Measurement",
    "Prior",
    "by_cma",
    "by_kalman",
    "eikonal_arrival",
    "fit_activation",
    "population_prior",
]
