"""The coordinator: the round, its state on disk, the driver, the report. Sees no patient."""
