"""Hearts in short-axis slices, as the two heart tasks see them: one patient, her readers, digital ones."""
