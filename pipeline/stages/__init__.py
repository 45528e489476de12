"""How an avatar is improved: each stage is a plain function from an avatar to an avatar."""
