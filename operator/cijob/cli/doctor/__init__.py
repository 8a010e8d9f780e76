"""`cijob doctor`: gather what a cluster says of itself, decide what that means, show it."""
