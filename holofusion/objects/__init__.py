"""Objects at once: a trained model's scenes as meshes, turntables and pictures, and the page that shows them."""
