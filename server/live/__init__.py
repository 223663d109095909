"""The live index, which follows the store and is searched, and the code that builds, loads and saves it."""
