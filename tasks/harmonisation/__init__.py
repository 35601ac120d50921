"""Harmonisation: what scanners do to measurements, estimated over hospitals and taken out at each."""
