"""Letters of Hangul, and the keyboard that types them. It knows nothing of searching."""
