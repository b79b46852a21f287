"""Files of any kind: written whole or not at all, named by SHA-256, CSV cells and YAML keys that are what they seem."""
