"""The named routers of a server: how they are loaded, shared, swapped and watched."""
