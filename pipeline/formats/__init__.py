"""Files that avatars are kept and exchanged in."""
