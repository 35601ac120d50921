"""The hospital: its patients, its memory, its own training, and the one gate through which replies leave."""
