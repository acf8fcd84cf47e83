"""Fine grids of single objects, from their photographs and masks alone."""
