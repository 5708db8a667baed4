"""Messages from clients, and their conversion to the arrays that are rendered."""
