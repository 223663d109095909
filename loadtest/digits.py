"""Numbers for people: four significant digits, and no exponent."""


def four_digits(value: float) -> str:
    """Returns a number with four significant digits, or as a whole number from 1,000 up."""
    return f"{value:,.0f}" if abs(value) >= 999.95 else f"{value:.4g}"
