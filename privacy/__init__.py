"""Patient-level privacy: the plan, the accountant, clipped sums, noise, audits. Knows no task."""
