"""Korean endings, written onto a noun without a space: particles, also two in a row, and other short words.

`체카를` and `체카로는` are forms of `체카`. More is allowed than the grammar does, such as `은` after a vowel: people
misspell particles.
"""

import re

FIRST = "들|에|에서|에게|한테|께|로|으로|까지|부터|만|하고|랑|이랑|와|과|밖에|보다|처럼|마다|별|용"

LAST = (
    "은|는|이|가|을|를|의|에|로|으로|와|과|도|만|나|이나|란|이란|랑|이랑|야|이야|면|이면|라면|이라면|"
    "까지|부터|에서|에게|한테|께|께서|보다|처럼|마다|밖에|조차|마저|라도|이라도|라고|이라고|하고|대로|만큼|같은|같이|"
    "쯤|씩|들|용|별|좀|뿐|인|인가|인데|인지|임|예|이에|에|입니다"
)

ENDING = re.compile(f"(?:{FIRST})?(?:{LAST})?요?")


def is_ending(rest: str) -> bool:
    """Returns whether the rest of a word after a noun, composed, is empty or an ending of the noun."""
    return ENDING.fullmatch(rest) is not None
