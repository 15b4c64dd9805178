"""How fast it is: every figure a ratio to a reference measured in the same run."""
