"""From photographs in CO3D layout to prepared data: selection, crops, normalised worlds, frozen cameras."""
