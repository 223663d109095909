"""Decides whether a typed query stands for another text: keys of the other layout, initials, an unfinished word."""
