"""Images, masks and cameras of objects: where they come from, and how they are prepared for training."""
