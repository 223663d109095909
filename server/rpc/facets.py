"""Builds the facets of an answer from the counts of a search."""

from chaja.v1 import AttributeValue, Facet, FacetValue
from server.attributes.facets import FacetCounts
from server.attributes.filter import Scalar


def facet_message(counts: FacetCounts) -> Facet:
    """Returns the message of the counts of one attribute."""
    return Facet(
        attribute=counts.attribute,
        values=[
            FacetValue(value=_value_message(value), document_count=document_count)
            for value, document_count in counts.values
        ],
        value_count=counts.value_count or 0,
        too_many_values=counts.value_count is None,
    )


def _value_message(value: Scalar) -> AttributeValue:
    if isinstance(value, str):
        return AttributeValue(string_value=value)
    if isinstance(value, bool):
        return AttributeValue(bool_value=value)
    return AttributeValue(number_value=value)
