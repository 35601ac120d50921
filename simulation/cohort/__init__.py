"""Digital cohorts: genotypes, images, laboratory, cognition and behaviour of the same people, by site."""
