"""The attributes of documents, and the filters that choose documents by them."""
