"""What methods make: scenes that can be rendered, meshed and saved."""
