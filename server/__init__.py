"""The process: settings, lifecycle, services, and the way from wire to kernel and back."""
