"""Electrical activation of the ventricles: cells, tissue, arrival times, conduction system, ECG."""
