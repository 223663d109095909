"""The live index, which follows the store and answers searches, and the code that builds, loads and saves it."""
