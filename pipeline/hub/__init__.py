"""The Hugging Face Hub: which repositories are used, how they are read, and how an avatar is published."""
