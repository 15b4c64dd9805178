"""Training of routers: the only room that imports torch (extra `train`).

Nothing outside imports it at module level, and nothing here reads data files or serves. It takes
prompts with scores as arrays, and leaves an encoder of the Hugging Face layout with one vector per
model.
"""
