"""The shape of two ventricles at end-diastole: measures, surfaces, coordinates, segments, fibres."""
