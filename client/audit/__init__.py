"""Attacks on a study's own learners over these patients: bounds, areas and errors come out."""
