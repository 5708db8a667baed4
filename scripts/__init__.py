"""One file per job; nothing imports them."""
