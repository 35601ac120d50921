"""Digital hearts on disk: images, labels, curves and pictures. The same heart, the same bytes."""
