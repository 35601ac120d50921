"""Both ventricles in short-axis slices: Sunnybrook's four groups, one's own scans, digital hearts."""
