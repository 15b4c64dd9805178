"""The router artefact: a trained router as a directory that says what it is and can be checked."""
