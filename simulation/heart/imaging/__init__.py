"""Images of a digital heart: where slices lie, what is in each voxel, and what a scanner makes of it."""
