"""LightningModules: the two stages, and the small trainings they stand on."""
