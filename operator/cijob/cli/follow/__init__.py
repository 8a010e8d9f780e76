"""Following a CiJob from its creation to its end."""
