"""Federations on one machine: engines, runs, comparisons, and what they leave on disk."""
