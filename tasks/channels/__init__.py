"""Tables of a hospital as channels: what its schema.toml declares, read by patient, with quarantine."""
