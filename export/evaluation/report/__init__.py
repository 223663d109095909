"""An evaluation as a text, as JSON and as a page."""
