"""A plugin that does nothing: what pytest does to load any."""
