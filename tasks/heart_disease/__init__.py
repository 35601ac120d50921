"""Coronary disease from what is known before the catheter: the four hospitals of Detrano et al. 1989."""
