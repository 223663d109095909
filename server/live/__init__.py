"""The live index: everything that searches follow of the catalogue, as it is at one moment, and how it is built."""
