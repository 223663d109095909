"""The index of completions: what a search box offers while a text is typed, from the first letter on."""
