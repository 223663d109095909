"""What is sent: which method, learnt from where, with which payload, made of which query."""
