"""MLServer, doing what Pointsman does with the same parts."""
