"""Ways to make a first avatar."""
