"""How good answers were, prompt by prompt and model by model."""
