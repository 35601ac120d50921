"""Imaging genetics: partial least squares between imaging phenotypes and genotypes, federated."""
